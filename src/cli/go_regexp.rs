//! Regular expressions as Go reads them, for the rules of kubectl: what `--reject-paths` refuses there is refused here.
//!
//! In: an expression in the syntax of Go's `regexp`. Out: one of the `regex` crate with the same meaning. The two
//! differ: `\d`, `\w`, `\s` and `\b` are about ASCII in Go; `&&`, `--`, `~~` and `[` mean themselves in a class of Go;
//! a `{` that begins no count is a brace; `\Q…\E` and octal escapes are Go's alone; `\<` and `(?x)` are not Go's.
//!
//! Refused: what Go refuses, but for repetitions of repetitions such as `a**`.
//!
//! <https://pkg.go.dev/regexp/syntax>

use regex::Regex;

/// Go repeats nothing more often.
const MOST_REPETITIONS: u32 = 1000;

const ASCII_CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// No regular expression of Go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoExpression;

/// Reads an expression.
pub(super) fn compile(expression: &str) -> Result<Regex, NoExpression> {
    let mut reader = Reader {
        rest: expression,
        written: String::new(),
    };
    while !reader.rest.is_empty() {
        reader.element()?;
    }
    Regex::new(&reader.written).map_err(|_| NoExpression)
}

struct Reader<'a> {
    rest: &'a str,
    /// The same in the syntax of the crate.
    written: String,
}

/// What an escape stands for.
enum Escaped {
    One(char),
    /// A set, as it stands in a class.
    Set(String),
}

impl<'a> Reader<'a> {
    fn take(&mut self) -> Option<char> {
        let taken = self.rest.chars().next()?;
        self.rest = &self.rest[taken.len_utf8()..];
        Some(taken)
    }

    fn takes(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (before, after) = self.rest.split_once(end)?;
        self.rest = after;
        Some(before)
    }

    fn write(&mut self, one: char) {
        self.written.push_str(&literal(one));
    }

    fn element(&mut self) -> Result<(), NoExpression> {
        match self.take().ok_or(NoExpression)? {
            '\\' => self.escape(),
            '[' => self.class(),
            '(' => self.group(),
            '{' => self.count(),
            syntax @ ('.' | '*' | '+' | '?' | '|' | ')' | '^' | '$') => {
                self.written.push(syntax);
                Ok(())
            }
            one => {
                self.write(one);
                Ok(())
            }
        }
    }

    fn escape(&mut self) -> Result<(), NoExpression> {
        if self.takes("Q") {
            // Without an end it reaches to the end of the expression, as in Go.
            let text = match self.until("\\E") {
                Some(text) => text,
                None => std::mem::take(&mut self.rest),
            };
            text.chars().for_each(|one| self.write(one));
            return Ok(());
        }
        for (name, written) in [
            ("A", "\\A"),
            ("z", "\\z"),
            // ASCII only, as in Go; with Unicode the crate would find ends of words elsewhere.
            ("b", "(?-u:\\b)"),
            ("B", "(?-u:\\B)"),
        ] {
            if self.takes(name) {
                self.written.push_str(written);
                return Ok(());
            }
        }
        match self.escaped()? {
            Escaped::One(one) => self.write(one),
            Escaped::Set(set) => self.written.push_str(&format!("[{set}]")),
        }
        Ok(())
    }

    /// What stands behind a backslash, the same inside a class and outside.
    fn escaped(&mut self) -> Result<Escaped, NoExpression> {
        let set = |set: &str| Ok(Escaped::Set(set.to_owned()));
        match self.take().ok_or(NoExpression)? {
            'd' => set("0-9"),
            'D' => set("[^0-9]"),
            'w' => set("0-9A-Za-z_"),
            'W' => set("[^0-9A-Za-z_]"),
            's' => set("\\t\\n\\f\\r\\x20"),
            'S' => set("[^\\t\\n\\f\\r\\x20]"),
            'p' => self.unicode('p', 'P'),
            'P' => self.unicode('P', 'p'),
            'a' => Ok(Escaped::One('\x07')),
            'f' => Ok(Escaped::One('\x0C')),
            'n' => Ok(Escaped::One('\n')),
            'r' => Ok(Escaped::One('\r')),
            't' => Ok(Escaped::One('\t')),
            'v' => Ok(Escaped::One('\x0B')),
            'x' => self.hexadecimal(),
            first @ '0'..='7' => self.octal(first),
            one if one.is_ascii() && !one.is_ascii_alphanumeric() => Ok(Escaped::One(one)),
            _ => Err(NoExpression),
        }
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`.
    fn unicode(&mut self, sign: char, opposite: char) -> Result<Escaped, NoExpression> {
        if !self.takes("{") {
            let name = self.take().ok_or(NoExpression)?;
            return Ok(Escaped::Set(format!("\\{sign}{{{name}}}")));
        }
        let name = self.until("}").ok_or(NoExpression)?;
        Ok(Escaped::Set(match name.strip_prefix('^') {
            Some(name) => format!("\\{opposite}{{{name}}}"),
            None => format!("\\{sign}{{{name}}}"),
        }))
    }

    fn hexadecimal(&mut self) -> Result<Escaped, NoExpression> {
        let digits = if self.takes("{") {
            self.until("}").ok_or(NoExpression)?
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or(NoExpression)?;
            self.rest = rest;
            digits
        };
        character(digits, 16)
    }

    /// `\0`, `\012`, `\12`. A single digit would be a reference back, which Go has none of.
    fn octal(&mut self, first: char) -> Result<Escaped, NoExpression> {
        let is_octal = |byte: &u8| matches!(byte, b'0'..=b'7');
        let more = self.rest.bytes().take(2).take_while(is_octal).count();
        if first != '0' && more == 0 {
            return Err(NoExpression);
        }
        let (digits, rest) = self.rest.split_at(more);
        self.rest = rest;
        character(&format!("{first}{digits}"), 8)
    }

    /// Groups and flags; those that Go does not have are refused.
    fn group(&mut self) -> Result<(), NoExpression> {
        if !self.takes("?") {
            self.written.push('(');
            return Ok(());
        }
        // Both ways to name a group are Go's, the second since Go 1.22.
        for name in ["P<", "<"] {
            if self.takes(name) {
                let name = self.until(">").ok_or(NoExpression)?;
                self.written.push_str(&format!("(?P<{name}>"));
                return Ok(());
            }
        }
        let mut flags = String::new();
        loop {
            match self.take().ok_or(NoExpression)? {
                // The crate takes no flag twice.
                flag @ ('i' | 'm' | 's' | 'U') if flags.contains(flag) => {}
                flag @ ('i' | 'm' | 's' | 'U' | '-') => flags.push(flag),
                ')' if flags.is_empty() => return Ok(()),
                end @ (':' | ')') => {
                    self.written.push_str(&format!("(?{flags}{end}"));
                    return Ok(());
                }
                _ => return Err(NoExpression),
            }
        }
    }

    /// `{2}`, `{2,}`, `{2,3}`; any other brace is one.
    fn count(&mut self) -> Result<(), NoExpression> {
        let count = self.rest.split_once('}').and_then(|(count, rest)| {
            let (least, most) = count.split_once(',').unwrap_or((count, count));
            let is_number =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            (is_number(least) && (most.is_empty() || is_number(most))).then_some((count, rest))
        });
        let Some((count, rest)) = count else {
            self.write('{');
            return Ok(());
        };
        let mut numbers = count.split(',').filter(|number| !number.is_empty());
        // Go refuses them when it reads; the crate would compile them into megabytes.
        if numbers.any(|number| {
            number
                .parse()
                .is_ok_and(|number: u32| number > MOST_REPETITIONS)
        }) {
            return Err(NoExpression);
        }
        self.rest = rest;
        self.written.push_str(&format!("{{{count}}}"));
        Ok(())
    }

    fn class(&mut self) -> Result<(), NoExpression> {
        self.written.push('[');
        if self.takes("^") {
            self.written.push('^');
        }
        let mut is_first = true;
        // A bracket that comes first is a member and no end.
        while is_first || !self.takes("]") {
            is_first = false;
            self.member()?;
        }
        self.written.push(']');
        Ok(())
    }

    /// A character, a range or a set in a class.
    fn member(&mut self) -> Result<(), NoExpression> {
        if self.rest.starts_with("[:") && self.rest.contains(":]") {
            self.takes("[:");
            let name = self.until(":]").ok_or(NoExpression)?;
            if !ASCII_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(NoExpression);
            }
            self.written.push_str(&format!("[:{name}:]"));
            return Ok(());
        }
        let low = match self.one_of_class()? {
            Escaped::One(one) => one,
            Escaped::Set(set) => {
                self.written.push_str(&set);
                return Ok(());
            }
        };
        self.write(low);
        // A hyphen at the end of a class is one, and no range.
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.takes("-");
            let Escaped::One(high) = self.one_of_class()? else {
                return Err(NoExpression);
            };
            self.written.push('-');
            self.write(high);
        }
        Ok(())
    }

    fn one_of_class(&mut self) -> Result<Escaped, NoExpression> {
        match self.take().ok_or(NoExpression)? {
            '\\' => self.escaped(),
            one => Ok(Escaped::One(one)),
        }
    }
}

fn character(digits: &str, radix: u32) -> Result<Escaped, NoExpression> {
    let number = u32::from_str_radix(digits, radix).map_err(|_| NoExpression)?;
    char::from_u32(number).map(Escaped::One).ok_or(NoExpression)
}

/// A character that means itself, wherever it stands.
fn literal(one: char) -> String {
    if one.is_ascii_alphanumeric() || one == '/' || one == '_' {
        one.to_string()
    } else {
        // As a number, so that no character means anything to the crate that it did not mean in Go.
        format!("\\x{{{:X}}}", u32::from(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go's `regexp` said of an expression and a text: 1 and 0 for a match and none, `!` for no expression.
    const RECORDED: &str = include_str!("go_regexp.txt");

    #[test]
    fn an_expression_means_what_it_means_in_go() {
        let mut wrong = Vec::new();
        for line in RECORDED.lines() {
            let (expression, results) = line.split_once('\t').unwrap();
            let expression: String = serde_json::from_str(expression).unwrap();
            let texts: Vec<(String, String)> = serde_json::from_str(results).unwrap();
            let compiled = compile(&expression);
            for (text, expected) in texts {
                let found = match &compiled {
                    Ok(compiled) if compiled.is_match(&text) => "1",
                    Ok(_) => "0",
                    Err(NoExpression) => "!",
                };
                if found != expected {
                    wrong.push(format!(
                        "{expression:?} on {text:?}: {found}, not {expected}"
                    ));
                    break;
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
