//! The rule for pages of any kind: another parser sees the same tree before and after, but for the URLs.

use html5ever::tendril::TendrilSink as _;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use proptest::prelude::*;

use super::constructs::{in_pieces, options};

/// A tree as lines, as a browser with scripts sees it. URLs that were mapped are shown as they were before.
///
/// To that browser the content of `<noscript>` is text, and its markup matters only to one without scripts. So that
/// text is parsed a second time, as the other browser does, and its tree stands below the element.
pub(super) fn tree(page: &[u8]) -> Vec<String> {
    Tree::of(page, Scripts::Run, 0)
}

/// Whether the browser runs scripts.
#[derive(Clone, Copy, PartialEq)]
enum Scripts {
    Run,
    Off,
}

struct Tree {
    scripts: Scripts,
    lines: Vec<String>,
}

impl Tree {
    fn of(page: &[u8], scripts: Scripts, depth: usize) -> Vec<String> {
        let mut tree = Self {
            scripts,
            lines: Vec::new(),
        };
        tree.show(&parsed(page, scripts).document, Says::Text, depth);
        tree.lines
    }

    fn show(&mut self, node: &Handle, says: Says, depth: usize) {
        let said = match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let pad = " ".repeat(depth);
                self.lines
                    .push(format!("{pad}<{}:{}>", name.ns, name.local));
                let attributes = attrs.borrow();
                let shown = attributes
                    .iter()
                    .map(|one| format!("@{} {}", one.name.local, before(&one.value)));
                self.lines.extend(shown);
                String::new()
            }
            NodeData::Text { contents } if says == Says::Urls => {
                format!("urls {}", before(&contents.borrow()))
            }
            NodeData::Text { contents } if says == Says::Markup && self.scripts == Scripts::Run => {
                let markup = Self::of(contents.borrow().as_bytes(), Scripts::Off, depth + 1);
                self.lines.extend(markup);
                "end of markup".to_owned()
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
            NodeData::ProcessingInstruction { target, contents } => {
                format!("<?{target} {contents}>")
            }
        };
        self.lines.push(format!("{}{said}", " ".repeat(depth)));
        for child in node.children.borrow().iter() {
            self.show(child, within(node), depth + 1);
        }
        if let NodeData::Element {
            template_contents, ..
        } = &node.data
            && let Some(contents) = template_contents.borrow().as_ref()
        {
            self.show(contents, Says::Text, depth + 1);
        }
    }
}

fn parsed(page: &[u8], scripts: Scripts) -> RcDom {
    let tree_builder = TreeBuilderOpts {
        scripting_enabled: scripts == Scripts::Run,
        ..TreeBuilderOpts::default()
    };
    let options = ParseOpts {
        tree_builder,
        ..ParseOpts::default()
    };
    parse_document(RcDom::default(), options)
        .from_utf8()
        .one(page)
}

/// What text is within an element.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Urls,
    Text,
    /// Markup for browsers without scripts.
    Markup,
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
        "style" => Says::Urls,
        "noscript" => Says::Markup,
        // A frameset takes no `<iframe>` or `<xmp>`, so a comment that begins behind one is none to a tokenizer without
        // a tree, and links in it are mapped. They lead nowhere.
        "frameset" => Says::Urls,
        "html" if node.children.borrow().iter().any(is_frameset) => Says::Urls,
        "script" if is_import_map() => Says::Urls,
        _ => Says::Text,
    }
}

fn is_frameset(node: &Handle) -> bool {
    matches!(&node.data, NodeData::Element { name, .. } if &*name.local == "frameset")
}

fn before(text: &str) -> String {
    // Where markup is text to a browser with scripts, references are still as they are written.
    // Two slashes at the root begin a path, and without a dot between them a host.
    text.replace(".././/", "/.//")
        .replace(".././", "/")
        .replace("../.&#47;", "&#47;")
}

/// What pages are made of. SVG and MathML come whole: when broken nesting closes them from outside, only a parser with
/// a whole tree knows that.
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
        // No backslash and no tab: a URL with escapes is written anew and one with tabs without them, as browsers read
        // it, so it can't be told from its text what it was.
        prop::collection::vec(
            any::<u8>().prop_filter("an escape", |byte| !matches!(byte, b'\\' | b'\t')),
            0..4
        ),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

#[test]
fn markup_for_browsers_without_scripts_is_seen_as_they_see_it() {
    let page = tree(b"<noscript><a href='/x' title='&amp;'></noscript>");
    let written_otherwise = b"<noscript><a href=\".././x\" title=\"&#38;\"></noscript>";
    assert_eq!(page, tree(written_otherwise));
    for another in [
        "<noscript><a href=.././y title='&amp;'></noscript>",
        "<noscript><a href=.././x title='b'></noscript>",
        "<noscript><a href=.././x></noscript>",
        "<noscript></noscript>",
    ] {
        assert_ne!(page, tree(another.as_bytes()), "{another}");
    }
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
