//! A script as it is served: the source without its whole-line comments, and without spaces, last commas, last
//! semicolons and parentheses around a single parameter, which mean nothing.
//!
//! In: a script of this folder. Out: the same program in fewer bytes. It is no reader of all JavaScript: in these
//! scripts every statement ends in `;` or `}`, no string, template or regular expression goes over the end of a line,
//! and a regular expression stands after a punctuation mark. ECMA-262 section 12.

/// The program of a source text.
pub(crate) fn served(source: &str) -> String {
    let mut program = String::with_capacity(source.len());
    for line in source.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        copy(line, &mut program);
        // A line ends a word: without the space two words would become one.
        if program.ends_with(is_word) {
            program.push(' ');
        }
    }
    program
}

/// Copies the tokens of a line.
fn copy(line: &str, program: &mut String) {
    let mut left = line.chars().peekable();
    while let Some(read) = left.next() {
        match read {
            '"' | '\'' | '`' => copy_literal(read, &mut left, program),
            // After an operand a slash divides, and what follows is no regular expression.
            '/' if !program.ends_with(is_operand_end) => copy_literal(read, &mut left, program),
            ' ' => {
                let between_words =
                    program.ends_with(is_word) && left.peek().is_some_and(|next| is_word(*next));
                if between_words {
                    program.push(' ');
                }
            }
            _ => {
                if read == '}' {
                    program.truncate(program.trim_end_matches(';').len());
                }
                if matches!(read, ')' | '}') && program.ends_with(',') {
                    program.pop();
                }
                if read == '>' {
                    unwrap_parameter(program);
                }
                program.push(read);
            }
        }
    }
}

/// `(a)=` before the `>` of an arrow becomes `a=`.
fn unwrap_parameter(program: &mut String) {
    let arrow = program.strip_suffix(")=");
    let Some((before, name)) = arrow.and_then(|start| start.rsplit_once('(')) else {
        return;
    };
    if name.starts_with(is_word) && name.chars().all(is_word) && !before.ends_with(is_word) {
        *program = format!("{before}{name}=");
    }
}

/// Copies a string, a template or a regular expression byte for byte.
fn copy_literal(end: char, left: &mut impl Iterator<Item = char>, program: &mut String) {
    program.push(end);
    let mut in_class = false;
    while let Some(read) = left.next() {
        program.push(read);
        match read {
            // Whatever follows a backslash ends nothing.
            '\\' => program.extend(left.next()),
            '[' if end == '/' => in_class = true,
            ']' => in_class = false,
            _ if read == end && !in_class => return,
            _ => {}
        }
    }
}

fn is_word(read: char) -> bool {
    read.is_alphanumeric() || read == '_' || read == '$'
}

/// After these a slash divides.
fn is_operand_end(read: char) -> bool {
    is_word(read) || read == ')' || read == ']'
}

#[cfg(test)]
mod tests {
    use super::served;

    #[test]
    fn only_what_means_nothing_is_left_out() {
        let source = r#"
// A comment.
let a = 1, b = "a  //  b";
if (a) return;
else b = a / 2;
let f = (x) => x.replace(/[/"] +\/ /g, 'c " d') + `  `;
if (a) {
  f(
    "; }",
    { a, },
  );
}
"#;
        assert_eq!(
            served(source),
            concat!(
                "let a=1,b=\"a  //  b\";",
                "if(a)return;",
                "else b=a/2;",
                "let f=x=>x.replace(/[/\"] +\\/ /g,'c \" d')+`  `;",
                "if(a){f(\"; }\",{a})}",
            )
        );
    }
}
