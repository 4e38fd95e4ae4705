//! A script without what only its readers need: comments that fill a line, indentation, and spaces and ends of lines beside
//! punctuation.
//!
//! Comes in: our own two scripts. Goes out: the same statements. It is no parser: comments stand on lines of their own,
//! statements end with `;`, templates hold no templates, and an expression `/…/` stands where punctuation precedes it.

/// What needs no space beside it.
const PUNCTUATION: &str = "=<>?:,{}()[]&|+;!";

/// What a line may end with and still goes on.
const GOES_ON_AFTER: &str = ";,{(?:|&+=>";

/// What a line may begin with and still belongs to the one before it.
const GOES_ON_BEFORE: &str = "}?:)";

/// What stands before a regular expression, but never before a division.
const BEFORE_EXPRESSION: &str = "(=,:[!&|?{};>";

pub(super) fn dense(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let code: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut dense = String::with_capacity(code.len());
    let mut rest = code.as_str();
    while let Some(c) = rest.chars().next() {
        let quoted = match c {
            '"' | '\'' | '`' => quoted(rest, c),
            '/' if is_one_of(BEFORE_EXPRESSION, dense.trim_end().chars().next_back()) => {
                quoted(rest, c)
            }
            _ => 0,
        };
        let (taken, after) = rest.split_at(quoted.max(c.len_utf8()));
        if !is_needless(c, dense.chars().next_back(), after.chars().next()) {
            dense.push_str(taken);
        }
        rest = after;
    }
    dense
}

/// The length of what stands in quotes at the start, with both of them. A slash inside `[…]` doesn't end an expression.
fn quoted(text: &str, quote: char) -> usize {
    let (mut is_escaped, mut is_in_class) = (false, false);
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' if quote == '/' => is_in_class = true,
            ']' if quote == '/' => is_in_class = false,
            _ if c == quote && !is_in_class => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn is_needless(c: char, before: Option<char>, after: Option<char>) -> bool {
    match c {
        ' ' => is_one_of(PUNCTUATION, before) || is_one_of(PUNCTUATION, after),
        '\n' => is_one_of(GOES_ON_AFTER, before) || is_one_of(GOES_ON_BEFORE, after),
        _ => false,
    }
}

fn is_one_of(set: &str, c: Option<char>) -> bool {
    c.is_some_and(|c| set.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_templates_and_expressions_keep_their_spaces() {
        let source = "// why\n  const a = { b: \"c , d\", e: 'f : g' };\n  const h = `i + ${ j }`;\n  k(/ [/ ] l \\/ = /g, 4 / 2);\n";
        assert_eq!(
            dense(source),
            "const a={b:\"c , d\",e:'f : g'};const h=`i + ${ j }`;k(/ [/ ] l \\/ = /g,4 / 2);"
        );
    }

    #[test]
    fn words_stay_apart_and_lines_that_end_alone_stay_lines() {
        let source = "const a = await b\nreturn typeof c in d;\nif (e)\n  f();\n";
        assert_eq!(
            dense(source),
            "const a=await b\nreturn typeof c in d;if(e)\nf();"
        );
    }
}
