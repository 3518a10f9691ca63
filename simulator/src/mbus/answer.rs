//! What a gateway is answered.

/// The answer to a line; 0 is the number of the greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is durable, and the gateway may forget it.
    Ok {
        number: u64,
        /// It was durable before.
        is_copy: bool,
    },
    /// Later.
    Busy { number: u64 },
    /// Anything else, which a good telegram is never told.
    Other(String),
}

impl Answer {
    pub(super) fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let number = |digits: &str| digits.parse().ok();
        let known = match *words {
            ["OK", digits] => number(digits).map(|number| Self::Ok {
                number,
                is_copy: false,
            }),
            ["OK", digits, "duplicate"] => number(digits).map(|number| Self::Ok {
                number,
                is_copy: true,
            }),
            ["BUSY", digits] => number(digits).map(|number| Self::Busy { number }),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other(line.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_what_is_none_of_them_is_kept_as_it_is() {
        let ok = |number, is_copy| Answer::Ok { number, is_copy };
        for (line, answer) in [
            ("OK 0", ok(0, false)),
            ("OK 17", ok(17, false)),
            ("OK 18 duplicate", ok(18, true)),
            ("BUSY 3", Answer::Busy { number: 3 }),
        ] {
            assert_eq!(Answer::parse(line), answer);
        }
        for line in [
            "",
            "OK",
            "OK x",
            "ok 1",
            "OK 1 later",
            "PART 2",
            "ERR 4 no_key key 00h",
        ] {
            assert_eq!(Answer::parse(line), Answer::Other(line.to_owned()));
        }
    }
}
