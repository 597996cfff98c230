//! The law of what is described field by field.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(2_000), ..ProptestConfig::default() })]

    /// With more things than are kept, through every grouping, whenever they are cleared.
    #[test]
    fn what_is_described_is_so_in_every_order(
        mentions in proptest::collection::vec((0..6_u8, 0..30_i64, 0..16_u8), 0..30),
        picks in order(30),
        parts in proptest::collection::vec(0..3_usize, 1..30),
        cleared in proptest::option::of(0..30_i64),
    ) {
        let mentions: Vec<(String, Position, Video)> = mentions
            .iter()
            .enumerate()
            .map(|(n, (key, ms, said))| {
                // Several things may be of one event.
                let id = EventHash((n as u64 / 2).to_be_bytes());
                let text = |bit: u8| (said & bit > 0).then(|| n.to_string());
                let number = |bit: u8| (said & bit > 0).then(|| u32::try_from(n).unwrap());
                let video = Video {
                    title: text(1),
                    program: text(2),
                    position: number(4),
                    length: number(8),
                };
                (key.to_string(), Position { at: Stamp::from_ms(*ms), id }, video)
            })
            .collect();
        // One event says one thing of each.
        let said_once = |n: usize| {
            let (key, at, _) = &mentions[n];
            mentions[..n].iter().all(|(held, before, _)| (held, before) != (key, at))
        };
        let all: Vec<usize> = (0..mentions.len()).filter(|n| said_once(*n)).collect();
        let mut left = all.clone();
        let mut drawn = Vec::new();
        for pick in &picks {
            if !left.is_empty() {
                drawn.push(left.swap_remove(pick.index(left.len())));
            }
        }
        drawn.extend(left);
        let cleared = cleared.map(Stamp::from_ms);
        let is_over = |n: usize| cleared.is_some_and(|cleared| mentions[n].1.at <= cleared);
        let write = |top: &mut Described<String, Video, 3>, n: usize| {
            let (key, at, video) = &mentions[n];
            top.write(key.as_str(), *at, || video.clone());
        };
        let expected = {
            let mut top = Described::default();
            all.iter().filter(|n| !is_over(**n)).for_each(|n| write(&mut top, *n));
            top
        };
        let mut at_once = Described::default();
        let mut three = [Described::default(), Described::default(), Described::default()];
        let half = drawn.len() / 2;
        for (place, n) in drawn.into_iter().enumerate() {
            // An order that comes midway: what is of before it is not written from then on.
            if place == half && let Some(cleared) = cleared {
                at_once.clear_until(cleared);
            }
            if place < half || !is_over(n) {
                write(&mut at_once, n);
            }
            write(&mut three[parts[n % parts.len()]], n);
        }
        let [mut a, b, c] = three;
        a.merge(&b);
        let stored = serde_json::to_vec(&a).unwrap();
        let mut merged: Described<String, Video, 3> = serde_json::from_slice(&stored).unwrap();
        merged.merge(&c);
        for mut top in [at_once, merged] {
            if let Some(cleared) = cleared {
                top.clear_until(cleared);
            }
            prop_assert_eq!(&top, &expected);
        }
        // Each field that is said is what the last event gave, of those that had it.
        for (key, held) in expected.iter() {
            let last = |has: fn(&Video) -> bool| {
                let of = all.iter().map(|n| &mentions[*n]).filter(|(of, _, v)| of == key && has(v));
                of.max_by_key(|(_, at, _)| *at).map(|(_, _, video)| video)
            };
            if held.value.title.is_some() {
                prop_assert_eq!(&held.value.title, &last(|v| v.title.is_some()).unwrap().title);
            }
            if held.value.position.is_some() {
                prop_assert_eq!(held.value.position, last(|v| v.position.is_some()).unwrap().position);
            }
        }
        if !expected.is_trimmed() {
            let known = |key: &String| {
                all.iter().any(|n| mentions[*n].0 == *key && !is_over(*n) && mentions[*n].2.title.is_some())
            };
            prop_assert!(expected.iter().all(|(key, held)| held.value.title.is_some() == known(key)));
        }
    }
}
