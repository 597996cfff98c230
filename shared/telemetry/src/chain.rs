//! Errors with their causes.

use std::error::Error;
use std::fmt;

/// An error and its causes, outermost first.
#[must_use]
pub fn chain(error: &dyn Error) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push(cause.to_string());
        source = cause.source();
    }
    chain
}

/// An error and its causes on one line: `could not do this: because of that: and that`.
#[must_use]
pub fn one_line(error: &dyn Error) -> String {
    chain(error).join(": ")
}

/// Why a function could not start. `main` returns it; its `Debug`, which is what a failing `main`
/// prints, is the error with its causes, without quotes and escapes.
pub struct Fatal(String);

impl<E: Error> From<E> for Fatal {
    fn from(error: E) -> Fatal {
        Fatal(one_line(&error))
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("rate cannot be read")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn causes_follow_their_error() {
        let error = Outer("x".parse::<u8>().unwrap_err());
        let line = "rate cannot be read: invalid digit found in string";
        assert_eq!(one_line(&error), line);
        assert_eq!(format!("{:?}", Fatal::from(error)), line);
    }
}
