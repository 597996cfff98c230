//! The search: breadth first, every world once, nothing sampled.

use crate::machine::{Action, Scope, apply};
use crate::properties::{Violation, always, at_rest};
use crate::protocol::Protocol;
use crate::world::World;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// More worlds than this are not a small model any more.
pub(crate) const WORLDS_MAX: usize = 2_000_000;

/// Everything that can happen.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Each world once, in the order of its distance from the beginning.
    pub(crate) worlds: Vec<World>,
    /// Where each world came from first.
    from: Vec<(u32, Action)>,
    /// What follows each world, and where the next world's begin.
    next: Vec<u32>,
    next_from: Vec<usize>,
}

/// A shortest way to something forbidden.
#[derive(Debug)]
pub(crate) struct Counterexample {
    pub(crate) violation: Violation,
    pub(crate) trace: Vec<(Action, World)>,
}

/// Multiplies and folds: the worlds come from no adversary, and the standard hasher is most of
/// the time of a debug build.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// Explores all worlds.
pub(crate) fn explore(protocol: &dyn Protocol, scope: Scope) -> Graph {
    search(protocol, scope, |_| None).0
}

/// The forbidden world with the fewest faults, and of those the nearest.
pub(crate) fn refute(protocol: &dyn Protocol, faults_max: u8) -> Option<Counterexample> {
    (0..=faults_max).find_map(|faults| {
        let broken = |world: &World| {
            always(world).or_else(|| world.is_quiet().then(|| at_rest(world)).flatten())
        };
        let (graph, found) = search(protocol, Scope::whole(faults), broken);
        let violation = found?;
        Some(Counterexample { violation, trace: graph.trace_of_last() })
    })
}

fn search(
    protocol: &dyn Protocol,
    scope: Scope,
    broken: impl Fn(&World) -> Option<Violation>,
) -> (Graph, Option<Violation>) {
    let begin = scope.begin();
    let mut known: HashMap<World, u32, BuildHasherDefault<Mixer>> = HashMap::default();
    known.insert(begin, 0);
    let mut graph = Graph {
        worlds: vec![begin],
        from: vec![(0, Action::Withdraw)],
        next: Vec::new(),
        next_from: vec![0],
    };
    let mut actions = Vec::new();
    let mut at = 0;
    while let Some(world) = graph.worlds.get(at).copied() {
        scope.actions(protocol, &world, &mut actions);
        for action in &actions {
            let after = apply(protocol, &world, *action);
            let id = u32::try_from(graph.worlds.len()).unwrap();
            let id = match known.entry(after) {
                Entry::Occupied(old) => *old.get(),
                Entry::Vacant(new) => {
                    graph.worlds.push(after);
                    graph.from.push((u32::try_from(at).unwrap(), *action));
                    if let Some(violation) = broken(&after) {
                        return (graph, Some(violation));
                    }
                    *new.insert(id)
                }
            };
            graph.next.push(id);
        }
        graph.next_from.push(graph.next.len());
        at += 1;
        assert!(graph.worlds.len() <= WORLDS_MAX, "more than {WORLDS_MAX} worlds");
    }
    (graph, None)
}

impl Graph {
    /// The transitions that stay within some number of faults.
    pub(crate) fn transitions(&self, faults: u8) -> usize {
        self.next.iter().filter(|to| self.worlds[**to as usize].faults <= faults).count()
    }

    /// Worlds in which nothing can happen any more, although something is under way.
    pub(crate) fn stuck(&self) -> usize {
        let stuck = |(at, world): &(usize, &World)| self.after(*at).is_empty() && !world.is_quiet();
        self.worlds.iter().enumerate().filter(stuck).count()
    }

    fn after(&self, at: usize) -> &[u32] {
        &self.next[self.next_from[at]..self.next_from[at + 1]]
    }

    fn trace_of_last(&self) -> Vec<(Action, World)> {
        let mut trace = Vec::new();
        let mut at = self.worlds.len() - 1;
        while at != 0 {
            let (from, action) = self.from[at];
            trace.push((action, self.worlds[at]));
            at = from as usize;
        }
        trace.reverse();
        trace
    }

    /// In how many ways each world comes about: the schedules that lead to it.
    ///
    /// # Panics
    /// Where the worlds go round in a circle: then some schedule never ends.
    pub(crate) fn ways(&self) -> Vec<u128> {
        let mut open = vec![0_u32; self.worlds.len()];
        for to in &self.next {
            open[*to as usize] += 1;
        }
        let mut ways = vec![0_u128; self.worlds.len()];
        ways[0] = 1;
        let mut ready = vec![0_usize];
        let mut seen = 0;
        while let Some(at) = ready.pop() {
            seen += 1;
            for to in self.after(at) {
                let to = *to as usize;
                ways[to] += ways[at];
                open[to] -= 1;
                if open[to] == 0 {
                    ready.push(to);
                }
            }
        }
        assert_eq!(seen, self.worlds.len(), "some schedule goes round for ever");
        ways
    }
}
