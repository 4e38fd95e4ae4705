//! The rule for pages of any kind: another parser sees the same tree before and after, but for the URLs.

use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use proptest::prelude::*;

use super::constructs::{in_pieces, options};

/// A tree as lines. URLs that were mapped are shown as they were before.
pub(super) fn tree(page: &[u8]) -> Vec<String> {
    let dom = parse_document(RcDom::default(), ParseOpts::default())
        .from_utf8()
        .one(page);
    let mut lines = Vec::new();
    show(&dom.document, Says::Text, 0, &mut lines);
    lines
}

/// What text is within an element.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Urls,
    Text,
}

fn within(node: &Handle) -> Says {
    let NodeData::Element { name, attrs, .. } = &node.data else {
        return Says::Text;
    };
    let is_import_map = || {
        let attributes = attrs.borrow();
        let mut types = attributes.iter().filter(|one| &*one.name.local == "type");
        types.any(|one| &*one.value == "importmap")
    };
    match &*name.local {
        "style" | "noscript" => Says::Urls,
        // A frameset takes no `<iframe>` or `<xmp>`, so a comment that begins behind one is none to a tokenizer without a tree,
        // and links in it are mapped. They lead nowhere.
        "frameset" => Says::Urls,
        "html" if node.children.borrow().iter().any(is_frameset) => Says::Urls,
        "script" if is_import_map() => Says::Urls,
        _ => Says::Text,
    }
}

fn is_frameset(node: &Handle) -> bool {
    matches!(&node.data, NodeData::Element { name, .. } if &*name.local == "frameset")
}

fn show(node: &Handle, says: Says, depth: usize, lines: &mut Vec<String>) {
    let said = match &node.data {
        NodeData::Element { name, attrs, .. } => {
            let pad = " ".repeat(depth);
            lines.push(format!("{pad}<{}:{}>", name.ns, name.local));
            let attributes = attrs.borrow();
            let shown = attributes
                .iter()
                .map(|one| format!("@{} {}", one.name.local, before(&one.value)));
            lines.extend(shown);
            String::new()
        }
        NodeData::Text { contents } if says == Says::Urls => {
            format!("urls {}", before(&contents.borrow()))
        }
        NodeData::Text { contents } => format!("{:?}", contents.borrow()),
        // In SVG there are comments within styles.
        NodeData::Comment { contents } if says == Says::Urls => {
            format!("<!-- urls {}-->", before(contents))
        }
        NodeData::Comment { contents } => format!("<!--{contents:?}-->"),
        NodeData::Doctype {
            name,
            public_id,
            system_id,
        } => {
            format!("<!{name} {public_id} {system_id}>")
        }
        NodeData::Document => "document".to_owned(),
        NodeData::ProcessingInstruction { target, contents } => format!("<?{target} {contents}>"),
    };
    lines.push(format!("{}{said}", " ".repeat(depth)));
    for child in node.children.borrow().iter() {
        show(child, within(node), depth + 1, lines);
    }
    if let NodeData::Element {
        template_contents, ..
    } = &node.data
        && let Some(contents) = template_contents.borrow().as_ref()
    {
        show(contents, Says::Text, depth + 1, lines);
    }
}

fn before(text: &str) -> String {
    // Where markup is text to a browser with scripts, references are still as they are written.
    // Two slashes at the root begin a path, and without a dot between them a host.
    text.replace(".././/", "/.//")
        .replace(".././", "/")
        .replace("../.&#47;", "&#47;")
}

/// What pages are made of. SVG and MathML come whole: when broken nesting closes them from outside, only a parser with a
/// whole tree knows that.
const PARTS: [&str; 80] = [
    "<a href=/x>",
    "<a href='/x'",
    "\" href=\"/y\"",
    "<img src=/x srcset='/x 1x, /y 2x'>",
    "</a>",
    "<p>",
    "</p>",
    "<div style=\"b:url('/x')\">",
    "</div>",
    "<script>",
    "</script>",
    "<script type=importmap>",
    "<style>",
    "</style>",
    "a{b:url(/x)}",
    "url('/y",
    "@import '/x';",
    "<title>",
    "</title>",
    "<textarea>",
    "</textarea>",
    "<noscript>",
    "</noscript>",
    "<template>",
    "</template>",
    "<iframe srcdoc='<a href=/x>'>",
    "</iframe>",
    "<table>",
    "<tr>",
    "<td background=/x>",
    "</table>",
    "<select>",
    "<option>",
    "</select>",
    "<frameset>",
    "<frame src=/x>",
    "<!--",
    "-->",
    "--!>",
    "<!DOCTYPE html>",
    "<html>",
    "<head>",
    "</head>",
    "<body background=/x>",
    "</body>",
    "</html>",
    "<plaintext>",
    "<xmp>",
    "</xmp>",
    "<![CDATA[",
    "]]>",
    "<br/>",
    "<image xlink:href=/x />",
    "<meta http-equiv=refresh content='0;url=/x'>",
    "<form action=/x>",
    "<input formaction=/x>",
    "text",
    "&amp;",
    "&lt;a href=/x>",
    "<a href=&#47;x>",
    "<a href=/x&amp;y&copy=&copy;>",
    "<",
    ">",
    "/",
    "'",
    "\"",
    "=",
    " ",
    "\n",
    "\0",
    "é",
    "<svg><style>a{b:url(/x)}</style></svg>",
    "<svg><image xlink:href=/x /><use href='/x#a'/></svg>",
    "<svg><title><a href=/x></a></title></svg>",
    "<math><mi><a href=/x></a></mi></math>",
    "<svg><foreignObject><a href=/x></a></foreignObject></svg>",
    "<svg><![CDATA[<a href=/x>]]></svg>",
    "<svg><desc><style>a{b:url(/x)}</style></desc><path fill='url(/x)'/></svg>",
    "<math><annotation-xml encoding=text/html><img src=/x></annotation-xml></math>",
    "<svg><p><a href=/x>",
];

fn page() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        prop::sample::select(&PARTS[..]).prop_map(|text| text.as_bytes().to_vec()),
        // No backslash and no tab: a URL with escapes is written anew and one with tabs without them, as browsers read it, so
        // it can't be told from its text what it was.
        prop::collection::vec(
            any::<u8>().prop_filter("an escape", |byte| !matches!(byte, b'\\' | b'\t')),
            0..4
        ),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

#[test]
fn the_comment_behind_what_a_frameset_does_not_take_stays_a_comment() {
    for open in ["<frameset>", "<frameset></frameset>"] {
        let page = format!("{open}<iframe><!--</iframe><a href=/x>--><noframes>n</noframes>");
        let rewritten = in_pieces(options(), page.as_bytes(), 7);
        assert_eq!(tree(&rewritten), tree(page.as_bytes()), "{open}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn another_parser_sees_the_same_tree_but_for_the_urls(page in page(), size in 1usize..40) {
        let rewritten = in_pieces(options(), &page, size);
        prop_assert_eq!(tree(&rewritten), tree(&page));
    }

    #[test]
    fn a_page_that_is_cut_elsewhere_comes_out_the_same(page in page(), size in 1usize..9) {
        let whole = in_pieces(options(), &page, usize::MAX);
        let pieces = in_pieces(options(), &page, size);
        prop_assert_eq!(
            String::from_utf8_lossy(&pieces),
            String::from_utf8_lossy(&whole)
        );
    }

    #[test]
    fn a_page_without_such_urls_keeps_its_bytes(page in page()) {
        let text = String::from_utf8_lossy(&page).replace(['/', '\\'], "x").replace("&#47;", "y");
        let rewritten = in_pieces(options(), text.as_bytes(), 10);
        prop_assert_eq!(String::from_utf8(rewritten).unwrap(), text);
    }
}
