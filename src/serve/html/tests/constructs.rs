//! Every construct of HTML that holds a URL, and what must not be taken for one.

use crate::serve::html::charset::Charset;
use crate::serve::html::links::LinkForm;
use crate::serve::html::links::tests::{PREFIX, links};
use crate::serve::html::page::{HtmlOptions, Nesting, PageRewriter};

pub(super) fn options() -> HtmlOptions {
    HtmlOptions {
        links: links("/app/page", LinkForm::Relative),
        injection: None,
        charset: None,
        memory: 64 * 1024,
        budget: crate::serve::html::budget::Budget::new(crate::serve::html::budget::MAX_TOTAL),
        nesting: Nesting::Outermost,
    }
}

pub(super) fn in_pieces(options: HtmlOptions, page: &[u8], size: usize) -> Vec<u8> {
    let mut html = PageRewriter::new(options);
    let mut out = Vec::new();
    for piece in page.chunks(size) {
        html.write(piece, &mut out);
    }
    html.end(&mut out);
    out
}

/// The page, which must come out the same wherever it is cut.
fn with(options: &HtmlOptions, page: &str) -> String {
    let whole = PageRewriter::whole(options.clone(), page.as_bytes()).unwrap();
    for size in [1, 2, 3, 7] {
        let pieces = in_pieces(options.clone(), page.as_bytes(), size);
        assert_eq!(pieces, whole, "{page} in pieces of {size}");
    }
    String::from_utf8(whole).unwrap()
}

fn mapped(page: &str) -> String {
    with(&options(), page)
}

/// `@` stands for what is put before a root-absolute path.
fn assert_mapped(page: &str) {
    let expected = page.replace('@', ".././");
    let before = page.replace('@', "/");
    assert_eq!(mapped(&before), expected, "{before}");
}

#[test]
fn every_attribute_that_holds_a_url_is_mapped() {
    for page in [
        "<a href=\"@x\">",
        "<a ping='@x y\n@z'>",
        "<area href=@x>",
        "<link rel=stylesheet href=@x>",
        "<link rel=preload as=image href=@x imagesrcset='@x 1x, @y 2x'>",
        "<link rel=manifest href=@x>",
        "<link rel=icon href=@x>",
        "<img src=@x srcset='@x 1x, @y 2x' longdesc=@z lowsrc=@l dynsrc=@d>",
        "<picture><source srcset='@x 100w,@y 200w' src=@s></picture>",
        "<script src=@x></script>",
        "<script type=module src=@x></script>",
        "<iframe src=@x longdesc=@y></iframe>",
        "<frameset><frame src=@x longdesc=@y></frameset>",
        "<embed src=@x>",
        "<video src=@x poster=@y><track src=@z></video>",
        "<audio src=@x></audio>",
        "<input type=image src=@x formaction=@y>",
        "<button formaction=@x></button>",
        "<form action=@x></form>",
        "<object data=@x codebase=@y archive='@z @w'></object>",
        "<applet codebase=@x archive='@y,@z'></applet>",
        "<blockquote cite=@x></blockquote><q cite=@x></q><ins cite=@x></ins><del cite=@x></del>",
        "<body background=@x>",
        "<table background=@x><thead background=@x><tr background=@x><th background=@x>",
        "<table><tbody background=@x><tr><td background=@x><tfoot background=@x>",
        "<html manifest=@x>",
        "<bgsound src=@x>",
        "<p style='background: url(@x)'>",
        "<p style=\"background: url(&quot;@x&quot;)\">",
        "<svg><image href=@x /><use xlink:href=\"@x#a\"/><script href=@x></script></svg>",
        "<svg><a xlink:href=@x></a><feImage href=@x></feImage><path fill='url(@x#a)'></svg>",
        "<svg><g stroke='url(@a)' filter='url(@b)' mask='url(@c)' clip-path='url(@d)' cursor='url(@e)'></svg>",
        "<svg><g marker-start='url(@a)' marker-mid='url(@b)' marker-end='url(@c)'></svg>",
        "<math href=@x></math>",
        "<meta http-equiv=refresh content='0;url=@x'>",
        "<meta content='0;url=@x' http-equiv=Refresh>",
        "<template><a href=@x></a></template>",
        "<noscript><img src=@x><style>a{b:url(@y)}</style></noscript><a href=@z>",
        "<style>a { b: url(@x) } @import</style><a href=@x>"
            .replace("@import", "")
            .as_str(),
        "<svg><style>a{b:url(@x)}</style></svg>",
        "<iframe srcdoc='<a href=@x>&amp;amp;</a>'></iframe>",
        "<iframe srcdoc=\"<a href=&quot;@x&quot;>\"></iframe>",
    ] {
        assert_mapped(page);
    }
    assert_eq!(
        mapped("<style>@import '/x';</style>"),
        "<style>@import '.././x';</style>"
    );
}

#[test]
fn what_is_no_url_stays_byte_for_byte() {
    for page in [
        "<a title=/x data-href=/x hreflang=/x>",
        "<my-link href=/x style='a:b'></my-link>",
        "<meta name=x content='0;url=/x'>",
        "<meta property=og:image content=/x>",
        "<input value=/x>",
        "<param name=movie value=/x>",
        "<script>location = '/x'; '<a href=/x>'</script>",
        "<script><!--<script><a href=/x></script><a href=/x>--></script>",
        "<script type=text/template><a href=/x></script>",
        "<script type=application/json>{\"imports\":{\"/x\":\"/y\"}}</script>",
        "<style type=text/less>a{b:url(/x)}</style>",
        "<!-- <a href=/x> --><!--><!---><!-- --!>",
        "<!DOCTYPE html SYSTEM '/x'>",
        "<textarea><a href=/x></textarea><title><a href=/x></title>",
        "<xmp><a href=/x></xmp><iframe><a href=/x></iframe>",
        "<plaintext><a href=/x>",
        "</a href=/x>",
        "<a href>",
        "<a href=>",
        "<a href=''>",
        "<A HrEf = 'x'\tdata-y  id=\"z\"\n/ >",
        "<svg><![CDATA[<a href=/x>]]></svg>",
        "<?xml-stylesheet href=/x?>",
        "<a href=/x",
        "<iframe srcdoc='&nbsp;<a href=/x>'></iframe>",
        "text & <",
        "",
    ] {
        assert_eq!(mapped(page), page);
    }
}

#[test]
fn a_tag_keeps_its_case_its_quotes_and_its_white_space() {
    assert_eq!(
        mapped("<A\n  Class=a HREF = '/x?a=1&amp;b=&quot;'\tid=\"b\"  / >"),
        "<A\n  Class=a HREF = '.././x?a=1&amp;b=&quot;'\tid=\"b\"  / >"
    );
    assert_eq!(mapped("<a href=/x/>y"), "<a href=.././x/>y");
    assert_eq!(mapped("<a href=/>y"), "<a href=.././>y");
    assert_eq!(mapped("<a href=/x href=/y>"), "<a href=.././x href=.././y>");
}

#[test]
fn urls_with_the_prefix_or_the_name_of_the_backend_lead_inside() {
    assert_eq!(mapped(&format!("<a href={PREFIX}/x>")), "<a href=.././x>");
    assert_eq!(mapped("<a href=http://web.demo.svc/x>"), "<a href=.././x>");
    assert_eq!(mapped("<a href=//web.demo.svc/x>"), "<a href=.././x>");
    let absolute = HtmlOptions {
        links: links("/app/page", LinkForm::Absolute(PREFIX.into())),
        ..options()
    };
    for page in ["<a href=/x>", &format!("<a href={PREFIX}/x>")] {
        assert_eq!(with(&absolute, page), format!("<a href={PREFIX}/x>"));
    }
}

#[test]
fn links_after_a_base_are_relative_to_it() {
    for (page, expected) in [
        (
            "<base href=/><a href=/x><base href=/a/b/><a href=/x>",
            "<base href=.././><a href=././x><base href=././a/b/><a href=././x>",
        ),
        ("<base href=./><a href=/x>", "<base href=./><a href=.././x>"),
        (
            "<base target=_top><base href='&#47;a&#47;b'><style>a{b:url(/x)}</style>",
            "<base target=_top><base href='.././a&#47;b'><style>a{b:url(.././x)}</style>",
        ),
        (
            "<base href=https://cdn.example/><a href=/x>",
            "<base href=https://cdn.example/><a href=/x>",
        ),
    ] {
        // The second base is none to a browser, so how it is written does not matter, but that of what follows does.
        assert_eq!(
            mapped(&page.replace("'&#47;a&#47;b'", "/a/b")),
            expected.replace("'.././a&#47;b'", ".././a/b"),
            "{page}"
        );
    }
}

#[test]
fn an_import_map_is_mapped_as_a_whole() {
    assert_eq!(
        mapped(
            "<script type=importmap>{\"imports\": {\"a\": \"/a.js\", \"/b/\": \"/c/\", \"d\": null},\n\
             \"scopes\": {\"/s/\": {\"a\": \"/e.js\"}}, \"integrity\": {\"/a.js\": \"sha384-/x\"}}</script><a href=/x>"
        ),
        "<script type=importmap>{\"imports\": {\"a\": \".././a.js\", \".././b/\": \".././c/\", \"d\": null},\n\
         \"scopes\": {\".././s/\": {\"a\": \".././e.js\"}}, \"integrity\": {\".././a.js\": \"sha384-/x\"}}</script>\
         <a href=.././x>"
    );
    let broken = "<script type=importmap>{\"imports\": {\"a\": \"/a.js\"}</script>";
    assert_eq!(mapped(broken), broken);
}

#[test]
fn a_changed_style_sheet_loses_its_hash() {
    for (page, expected) in [
        (
            "<link rel='x Stylesheet' href=a.css integrity='sha384-x'>",
            "<link rel='x Stylesheet' href=a.css integrity=''>",
        ),
        (
            "<link rel=stylesheet integrity=sha384-x href=/a.css>",
            "<link rel=stylesheet integrity=\"\" href=.././a.css>",
        ),
        (
            "<link rel=preload as=style integrity=\"x\" href=/a.css>",
            "<link rel=preload as=style integrity=\"\" href=.././a.css>",
        ),
    ] {
        assert_eq!(mapped(page), expected);
    }
    for page in [
        "<link rel=stylesheet href=https://cdn.example/a.css integrity=sha384-x>",
        "<link rel=modulepreload href=a.js integrity=sha384-x>",
        "<script src=a.js integrity=sha384-x></script>",
    ] {
        assert_eq!(mapped(page), page);
    }
}

#[test]
fn what_is_put_first_comes_before_all_scripts_and_after_the_doctype() {
    let first = HtmlOptions {
        injection: Some("[first]".into()),
        ..options()
    };
    for page in [
        "<!DOCTYPE html><html><head>[first]<script></script></head><body></body></html>",
        "<!DOCTYPE html><html lang=en><head>\n<meta charset=utf-8>\n[first]<title>t</title>",
        "<!DOCTYPE html><head><meta http-equiv=Content-Type content='text/html'>[first]<meta name=x>",
        "<head>[first]<meta http-equiv=content-security-policy content=x>",
        "<head>[first]<base href=./>",
        "<!DOCTYPE html>[first]<title>t</title><p>",
        "<!-- c --><!DOCTYPE html>\n<html>\n[first]<body>",
        "<!DOCTYPE html>[first]<p>text<script></script>",
        "text [first]<script></script>",
        "[first]<svg><script></script></svg>",
        "<html><head></head>[first]<body><head>",
        "<header>".replace("<header>", "[first]<header>").as_str(),
        "<!DOCTYPE html>text only",
        "<!-- <script> -->",
        "",
    ] {
        assert_eq!(with(&first, &page.replace("[first]", "")), page);
    }
}

#[test]
fn a_document_in_an_attribute_gets_the_same_first() {
    let first = HtmlOptions {
        injection: Some("<script src=\"././x\"></script>".into()),
        ..options()
    };
    assert_eq!(
        with(&first, "<p><iframe srcdoc='<b>'></iframe>"),
        "<script src=\"././x\"></script><p>\
         <iframe srcdoc='<script src=&quot;././x&quot;></script><b>'></iframe>"
    );
    assert_eq!(
        with(&first, "<base href=a/><iframe srcdoc='<b>'></iframe>"),
        "<script src=\"././x\"></script><base href=a/><iframe srcdoc='<b>'></iframe>",
        "its URL is relative to the page, not to the base"
    );
}

#[test]
fn a_tag_beyond_the_bound_and_all_behind_it_pass_as_they_came() {
    let endless = format!(
        "<a href=/x><a title='{}' href=/y><a href=/z>",
        "x".repeat(100_000)
    );
    let expected = endless.replacen("/x", ".././x", 1);
    for size in [1000, 4096, 100_000] {
        let pieces = in_pieces(options(), endless.as_bytes(), size);
        assert_eq!(String::from_utf8(pieces).unwrap(), expected, "{size}");
    }
    let unclosed = format!(
        "<a href=/x><style>a{{b:url(/y)}}</style>{}<a href=/z>",
        "<b>".repeat(100_000)
    );
    let expected = unclosed.replace("/x", ".././x").replace("/y", ".././y");
    let pieces = in_pieces(options(), unclosed.as_bytes(), 1000);
    assert_eq!(String::from_utf8(pieces).unwrap(), expected);
}

#[test]
fn what_is_not_ended_at_the_end_of_the_page_goes_out() {
    for (page, expected) in [
        ("<style>a{b:url(/x", "<style>a{b:url(.././x"),
        (
            "<script type=importmap>{\"imports\":",
            "<script type=importmap>{\"imports\":",
        ),
        (
            "<noscript><a href=/x><a href=",
            "<noscript><a href=.././x><a href=",
        ),
        ("<!-- <a href=/x>", "<!-- <a href=/x>"),
    ] {
        assert_eq!(mapped(page), expected);
    }
}

#[test]
fn bytes_that_are_not_understood_come_out_as_they_came() {
    let page = b"<a href=\"/\xe9\xff?\x80\">\xff\xfe\x00</a><p title='\xc3'>";
    let expected = b"<a href=\".././\xe9\xff?\x80\">\xff\xfe\x00</a><p title='\xc3'>";
    for charset in [None, Some(Charset::Ascii)] {
        let options = HtmlOptions {
            charset,
            ..options()
        };
        assert_eq!(PageRewriter::whole(options, page).unwrap(), expected);
    }
}

#[test]
fn a_page_may_name_its_own_charset() {
    // The second byte of the character would be a backslash in ASCII.
    let body = b"<a href='/\x83\x5c..\x83\x5cx'><a href='/x'>";
    for (head, charset, stays) in [
        (&b"<meta charset=shift_jis>"[..], None, true),
        (
            b"<meta http-equiv=content-type content='text/html; charset=Shift_JIS'>",
            None,
            true,
        ),
        (b"<meta charset=shift_jis>", Some(Charset::Ascii), false),
        (b"<meta charset=utf-16>", None, false),
        (b"", Some(Charset::ShiftJis), true),
    ] {
        let options = HtmlOptions {
            charset,
            ..options()
        };
        let page = PageRewriter::whole(options, &[head, body].concat()).unwrap();
        let kept = page.windows(8).any(|window| window == b"='/\x83\x5c..\x83");
        assert_eq!(kept, stays, "{:?}", String::from_utf8_lossy(head));
        assert!(page.ends_with(b"<a href='.././x'>"));
    }
}

#[test]
fn unfinished_tags_of_all_pages_share_one_budget_and_past_it_the_rest_passes() {
    const MIB: usize = 1024 * 1024;
    const LONG: usize = 300 * 1024;
    let budget = crate::serve::html::budget::Budget::new(MIB + MIB / 2);
    let write = || {
        let mut html = PageRewriter::new(HtmlOptions {
            memory: MIB,
            budget: std::sync::Arc::clone(&budget),
            ..options()
        });
        let mut out = Vec::new();
        let page = format!("<a href=/x>x</a><b title={}", "x".repeat(LONG));
        for piece in page.as_bytes().chunks(16 * 1024) {
            html.write(piece, &mut out);
        }
        (html, out)
    };
    let (first, out) = write();
    assert!(out.len() < 100, "the tag is not at its end");
    let (mut second, mut out) = write();
    assert!(out.len() > LONG / 2, "there was no room for another");
    second.write(b"><a href=/y>y</a>", &mut out);
    second.end(&mut out);
    let passed = String::from_utf8(out).unwrap();
    let is_whole = passed.contains(&"x".repeat(LONG)) && passed.ends_with("><a href=/y>y</a>");
    assert!(is_whole, "the rest passes as it comes");
    drop((first, second));
    let (_, out) = write();
    assert!(out.len() < 100, "the room was given back");
}
