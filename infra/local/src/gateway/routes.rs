//! Which route a request takes: the most specific one, `$default` last.

use crate::template::Route;
use http::request::Parts;

/// Path parameters, still escaped.
type Parameters = Vec<(String, String)>;

/// The route for a request and its path parameters.
pub(super) fn find<'a>(routes: &'a [Route], parts: &Parts) -> Option<(&'a Route, Parameters)> {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let mut best: Option<(&Route, Parameters, usize)> = None;
    for route in routes {
        let Some((parameters, rank)) = matched(&route.key, method, path) else {
            continue;
        };
        if best.as_ref().is_none_or(|(_, _, least)| rank < *least) {
            best = Some((route, parameters, rank));
        }
    }
    best.map(|(route, parameters, _)| (route, parameters))
}

/// The parameters where a route key matches, and how general it is: fewer is more specific.
fn matched(key: &str, method: &str, path: &str) -> Option<(Parameters, usize)> {
    if key == "$default" {
        return Some((Vec::new(), usize::MAX));
    }
    let (wanted, pattern) = key.split_once(' ')?;
    if wanted != "ANY" && wanted != method {
        return None;
    }
    let any_method = usize::from(wanted == "ANY");
    let (mut parameters, mut rank) = (Vec::new(), any_method);
    let mut given = path.split('/');
    for part in pattern.split('/') {
        let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        match inner {
            Some(name) if name.ends_with('+') => {
                let rest: Vec<&str> = given.by_ref().collect();
                if rest.join("/").is_empty() {
                    return None;
                }
                parameters.push((name.trim_end_matches('+').to_owned(), rest.join("/")));
                return Some((parameters, rank + 1_000_000));
            }
            Some(name) => {
                let value = given.next().filter(|value| !value.is_empty())?;
                parameters.push((name.to_owned(), value.to_owned()));
                rank += 2;
            }
            None if given.next() == Some(part) => {}
            None => return None,
        }
    }
    given.next().is_none().then_some((parameters, rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_most_specific_route_wins() {
        let keys = ["$default", "GET /c/{token}", "POST /c/{token}", "ANY /a/{rest+}", "GET /a/b"];
        let routes: Vec<Route> = keys
            .iter()
            .map(|key| Route {
                key: (*key).to_owned(),
                function: String::new(),
                timeout: Duration::ZERO,
            })
            .collect();
        for (method, path, expected) in [
            ("GET", "/c/abc", "GET /c/{token}"),
            ("POST", "/c/abc", "POST /c/{token}"),
            ("DELETE", "/c/abc", "$default"),
            ("GET", "/c/abc/d", "$default"),
            ("GET", "/c/", "$default"),
            ("GET", "/a/b", "GET /a/b"),
            ("POST", "/a/b", "ANY /a/{rest+}"),
            ("GET", "/a/b/c", "ANY /a/{rest+}"),
            ("GET", "/", "$default"),
        ] {
            let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
            let (parts, ()) = request.into_parts();
            assert_eq!(find(&routes, &parts).unwrap().0.key, expected, "{method} {path}");
        }
    }
}
