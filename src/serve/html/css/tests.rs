//! Style sheets: the URLs that are mapped, wherever a sheet is cut, and everything that is none.

use proptest::prelude::*;

use super::*;

/// Marks what was taken for a root-absolute URL.
fn mark(url: &str) -> Option<String> {
    let url = url.trim_matches(|one: char| one <= ' ');
    url.starts_with('/').then(|| format!(".{url}"))
}

/// What becomes of a sheet that comes in pieces of this size.
pub(in crate::serve::html) fn in_pieces(sheet: &[u8], charset: Charset, size: usize) -> Vec<u8> {
    let mut css = Css::new(charset);
    let mut text = Vec::new();
    let mut out = |piece: Piece<'_>| text.extend_from_slice(piece.now());
    for piece in sheet.chunks(size) {
        css.write(piece, &mark, &mut out);
    }
    css.end(&mark, &mut out);
    text
}

fn mapped(sheet: &str) -> String {
    let whole = in_pieces(sheet.as_bytes(), Charset::Ascii, usize::MAX);
    for size in 1..sheet.len() {
        let pieces = in_pieces(sheet.as_bytes(), Charset::Ascii, size);
        assert_eq!(pieces, whole, "{sheet} in pieces of {size}");
    }
    String::from_utf8(whole).unwrap()
}

#[test]
fn urls_are_mapped_wherever_css_has_them() {
    for (sheet, expected) in [
        ("a{b:url(/x)}", "a{b:url(./x)}"),
        ("a{b:URL( /x )}", "a{b:URL( ./x )}"),
        ("a{b:url('/x')}", "a{b:url('./x')}"),
        ("a{b:url(' /x ')}", "a{b:url(' ./x ')}"),
        ("a{b:url( \"/x\" )}", "a{b:url( \"./x\" )}"),
        ("a{b:u\\72l(/x)}", "a{b:u\\72l(./x)}"),
        ("a{b:\\75 rl(/x)}", "a{b:\\75 rl(./x)}"),
        ("a{b:src(\"/x\")}", "a{b:src(\"./x\")}"),
        ("a{b:url(/x),url(/y)}", "a{b:url(./x),url(./y)}"),
        ("@import '/x';", "@import './x';"),
        ("@import\"/x\" print;", "@import\"./x\" print;"),
        ("@IMPORT/**/ \"/x\";", "@IMPORT/**/ \"./x\";"),
        ("@import url(/x) screen;", "@import url(./x) screen;"),
        (
            "@import url(\"/x\") layer(a);",
            "@import url(\"./x\") layer(a);",
        ),
        (
            "a{b:image-set('/x' 1x,\"/y\" type('/z') 2x)}",
            "a{b:image-set('./x' 1x,\"./y\" type('/z') 2x)}",
        ),
        (
            "a{b:-webkit-image-set(url(/x) 1x)}",
            "a{b:-webkit-image-set(url(./x) 1x)}",
        ),
        ("a{b:url(/a\\29 b)}", "a{b:url(./a\\29 b)}"),
        ("a{b:url(/a\\)b)}", "a{b:url(./a\\29 b)}"),
        ("a{b:url(\"/a\\\"b\")}", "a{b:url(\"./a\\22 b\")}"),
        ("a{b:url('/a\\\nb')}", "a{b:url('./ab')}"),
        ("a{b:url('/a\\\r\nb')}", "a{b:url('./ab')}"),
        ("a{b:url('/\\61\r\nb')}", "a{b:url('./ab')}"),
        (
            "a{b:'\\\r\nurl(/y)';c:url(/x)}",
            "a{b:'\\\r\nurl(/y)';c:url(./x)}",
        ),
        ("a{b:url(/\\e9 )}", "a{b:url(./%C3%A9)}"),
        ("a{b:url(\\/x)}", "a{b:url(./x)}"),
        ("a{b:url(/\\61 b c)}", "a{b:url(./ab c)}"),
        ("a{b:url('\\2f\nx')}", "a{b:url('./x')}"),
        ("a{b:url(/\\0000611)}", "a{b:url(./a1)}"),
        ("a{b:url(/x\\0)}", "a{b:url(./x%EF%BF%BD)}"),
        ("a{b:url(/é)}", "a{b:url(./é)}"),
        ("a{b:url(/x", "a{b:url(./x"),
        ("a{b:url('/x", "a{b:url('./x"),
        (
            "@font-face{src:url(/x)format('/y')}",
            "@font-face{src:url(./x)format('/y')}",
        ),
        ("b{--x:url(/y)}", "b{--x:url(./y)}"),
        ("url(/x)", "url(./x)"),
    ] {
        assert_eq!(mapped(sheet), expected, "{sheet}");
    }
}

#[test]
fn what_is_no_url_stays() {
    for sheet in [
        "/* url(/x) @import '/x' */",
        "/**/a/ *url*/{}",
        "a{content:'url(/x)'}",
        "a{content:\"\\\"url(/x)\"}",
        "a{content:'/x'}",
        "a{b:urls(/x)}",
        "a{b:my-url(/x)}",
        "a{b:#url(/x)}",
        "a{b:@url(/x)}",
        "a{b:url(x)}",
        "a{b:url()}",
        "a{b:url (/x)}",
        "a{b:url/**/(/x)}",
        "a{b:url(data:image/png;base64,/x)}",
        "a{b:url(a b url(/x)}",
        "a{b:url(\u{1}/x)}",
        "a{b:url(/x\u{1})}",
        "a{b:url('/x\n')}",
        "@import '/x\n';",
        "a{b:url(/x\\\n)}",
        "a{b:url(/x\"y)}",
        "a{b:url(a'b url\\)(/x)}",
        "@namespace '/x';@namespace url(/x);@namespace a url('/x');",
        "@media print{a{content:'/x'}}",
        "@import-not '/x';",
        "@import a '/x';",
        "a[href='/x']{}",
        "a{b:image-set(linear-gradient('/x'))}",
        "a{b:calc(1px*(2/3))}",
        "\\",
        "a{b:url(\\",
        "a{b:'\\",
    ] {
        assert_eq!(mapped(sheet), sheet);
    }
}

#[test]
fn a_string_that_a_line_end_breaks_is_over() {
    assert_eq!(mapped("a{b:'x\n;c:url(/y)}"), "a{b:'x\n;c:url(./y)}");
}

#[test]
fn a_url_that_is_too_long_passes_as_it_came() {
    let long = "/x".repeat(LONGEST_URL);
    for sheet in [
        format!("a{{b:url({long});c:url(/y)}}"),
        format!("a{{b:url('{long}');c:url(/y)}}"),
    ] {
        for size in [1, 1000, usize::MAX] {
            let pieces = in_pieces(sheet.as_bytes(), Charset::Ascii, size);
            assert_eq!(
                String::from_utf8(pieces).unwrap(),
                sheet.replace("/y", "./y")
            );
        }
    }
}

#[test]
fn the_second_byte_of_a_character_is_no_backslash() {
    // Katakana "so" is 0x83 0x5c in Shift_JIS.
    let sheet = b"a{b:'\x83\x5c';c:url(/x);d:url(/\x83\x5c)}";
    let expected = b"a{b:'\x83\x5c';c:url(./x);d:url(/\x83\x5c)}";
    assert_eq!(in_pieces(sheet, Charset::ShiftJis, 1), expected);
    assert_eq!(in_pieces(sheet, Charset::TwoBytes, 3), expected);
}

#[test]
fn a_mapped_url_does_not_close_the_element_around_it() {
    assert_eq!(
        mapped("a{b:url('/\\3c/style>')}"),
        "a{b:url('./\\3c /style>')}"
    );
}

proptest! {
    #[test]
    fn pieces_give_what_the_whole_gives(
        sheet in "(url\\(|image-set\\(|@import|@namespace|/x|[ '\"()\\\\/*\n{};a-]|7){0,24}",
        size in 1usize..6,
    ) {
        let whole = in_pieces(sheet.as_bytes(), Charset::Ascii, usize::MAX);
        let pieces = in_pieces(sheet.as_bytes(), Charset::Ascii, size);
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn without_a_url_to_map_nothing_changes(sheet in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut css = Css::new(Charset::TwoBytes);
        let mut text = Vec::new();
        let mut out = |piece: Piece<'_>| match piece {
            Piece::AsItWas(bytes) | Piece::Changed { now: bytes, .. } => text.extend_from_slice(bytes),
        };
        css.write(&sheet, &|_| None, &mut out);
        css.end(&|_| None, &mut out);
        prop_assert_eq!(text, sheet);
    }
}
