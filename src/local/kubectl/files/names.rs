//! The type of a file by the end of its name.
//!
//! As Go's `mime.TypeByExtension`: a table of its own, and what the machine knows (the shared MIME-info database, else
//! the `mime.types` files), so that a file has the type that kubectl proxy gives it on the same machine.
//!
//! In: a file name. Out: its type, or nothing, and then the content tells ([`super::sniff`]).

use std::collections::HashMap;

use tokio::sync::OnceCell;

/// Databases in the order of their rank; the first that can be read is the only one.
const GLOBS: &[&str] = &["/usr/local/share/mime/globs2", "/usr/share/mime/globs2"];

/// Read where there is no database, all of them.
const TYPES: &[&str] = &[
    "/etc/mime.types",
    "/etc/apache2/mime.types",
    "/etc/apache/mime.types",
    "/etc/httpd/conf/mime.types",
];

/// Each type with the endings that Go knows for it.
const KNOWN: &[(&str, &str)] = &[
    ("application/json", "json"),
    ("application/gzip", "gz"),
    ("application/msword", "doc"),
    ("application/octet-stream", "bin com exe"),
    ("application/pdf", "pdf"),
    ("application/postscript", "ai eps ps"),
    ("application/rdf+xml", "rdf"),
    ("application/rtf", "rtf"),
    ("application/vnd.android.package-archive", "apk"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.ms-powerpoint", "ppt"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "pptx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    ("application/wasm", "wasm"),
    ("application/xhtml+xml", "xht xhtml"),
    ("application/zip", "zip"),
    ("audio/flac", "flac"),
    ("audio/mp4", "m4a"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "oga ogg opus"),
    ("audio/wav", "wav"),
    ("audio/webm", "webm"),
    ("image/apng", "apng"),
    ("image/avif", "avif"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/jpeg", "jfif jpeg jpg pjp pjpeg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tif tiff"),
    ("image/vnd.microsoft.icon", "ico"),
    ("image/webp", "webp"),
    ("image/x-xbitmap", "xbm"),
    ("message/rfc822", "eml"),
    ("text/calendar", "ics"),
    ("text/css", "css"),
    ("text/csv", "csv"),
    ("text/html", "ehtml htm html shtml"),
    ("text/javascript", "js mjs"),
    ("text/plain", "text txt"),
    ("text/vtt", "vtt"),
    ("text/xml", "xbl xml xsl"),
    ("video/mp4", "mp4"),
    ("video/ogg", "ogv"),
];

/// The type of a file, by its name.
pub(super) async fn content_type(name: &str) -> Option<String> {
    static TABLE: OnceCell<TypeTable> = OnceCell::const_new();
    // Read once in the life of the process, as Go does.
    let table = TABLE.get_or_init(TypeTable::of_this_machine).await;
    table.find(name).map(str::to_owned)
}

/// Endings without their dot, and types.
#[derive(Debug, Default)]
struct TypeTable {
    exact: HashMap<String, String>,
    lower: HashMap<String, String>,
}

impl TypeTable {
    fn known() -> Self {
        let mut table = Self::default();
        for (content_type, endings) in KNOWN {
            for ending in endings.split(' ') {
                table.insert(ending, content_type);
            }
        }
        table
    }

    async fn of_this_machine() -> Self {
        let mut table = Self::known();
        for path in GLOBS {
            if let Ok(text) = tokio::fs::read(path).await {
                table.read_globs(&String::from_utf8_lossy(&text));
                // The first database that can be read is the only one, as in `initMimeUnix`.
                return table;
            }
        }
        for path in TYPES {
            if let Ok(text) = tokio::fs::read(path).await {
                table.read_types(&String::from_utf8_lossy(&text));
            }
        }
        table
    }

    /// Lines of `weight:type:*.ending`, the heaviest first; only the first line for an ending counts.
    fn read_globs(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split(':');
            let (Some(weight), Some(content_type), Some(glob)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let Some(ending) = glob.strip_prefix("*.") else {
                continue;
            };
            let is_plain =
                !weight.is_empty() && !ending.is_empty() && !ending.contains(['?', '*', '[']);
            // Entries are sorted by weight, so the first for an ending is the heaviest.
            if is_plain && !self.exact.contains_key(ending) {
                self.insert(ending, content_type);
            }
        }
    }

    /// Lines of `type ending ending`; a later line replaces an earlier one.
    fn read_types(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line
                .split_whitespace()
                .take_while(|word| !word.starts_with('#'));
            let Some(content_type) = words.next() else {
                continue;
            };
            for ending in words {
                self.insert(ending, content_type);
            }
        }
    }

    fn insert(&mut self, ending: &str, content_type: &str) {
        // As Go's `setExtensionType` does for text alone.
        let content_type = if content_type.starts_with("text/") && !content_type.contains(';') {
            format!("{content_type}; charset=utf-8")
        } else {
            content_type.to_owned()
        };
        self.lower
            .insert(ending.to_lowercase(), content_type.clone());
        self.exact.insert(ending.to_owned(), content_type);
    }

    fn find(&self, name: &str) -> Option<&str> {
        let (_, ending) = name.rsplit_once('.')?;
        // The exact case first; `.C` may be another type than `.c`.
        let found = self.exact.get(ending);
        found
            .or_else(|| self.lower.get(&ending.to_lowercase()))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_looked_up_in_any_case() {
        let table = TypeTable::known();
        for (name, expected) in [
            ("index.html", Some("text/html; charset=utf-8")),
            ("INDEX.HTML", Some("text/html; charset=utf-8")),
            ("a.b.js", Some("text/javascript; charset=utf-8")),
            ("data.json", Some("application/json")),
            (".css", Some("text/css; charset=utf-8")),
            ("Makefile", None),
            ("a.", None),
            ("archive.unknown", None),
        ] {
            assert_eq!(table.find(name), expected, "{name}");
        }
    }

    #[test]
    fn the_first_line_of_the_database_counts_and_never_beats_the_known() {
        let mut table = TypeTable::known();
        table.read_globs(
            "# comment\n50:text/x-c:*.cc\n50:text/x-c++src:*.C:cs\n50:text/x-csrc:*.c\n40:text/second:*.cc\n\
             50:text/other:*.html\n50:x/glob:*.[ab]\n50:x/whole:makefile\n50:x/empty:*.\n",
        );
        for (name, expected) in [
            ("a.cc", Some("text/x-c; charset=utf-8")),
            ("a.C", Some("text/x-c++src; charset=utf-8")),
            ("a.c", Some("text/x-csrc; charset=utf-8")),
            ("a.html", Some("text/html; charset=utf-8")),
            ("a.[ab]", None),
            ("makefile", None),
            ("a.", None),
        ] {
            assert_eq!(table.find(name), expected, "{name}");
        }
    }

    #[test]
    fn a_line_of_mime_types_replaces_what_was_known() {
        let mut table = TypeTable::known();
        table.read_types("# comment\ntext/other html xyz # css\napplication/none\n");
        assert_eq!(table.find("a.html"), Some("text/other; charset=utf-8"));
        assert_eq!(table.find("a.xyz"), Some("text/other; charset=utf-8"));
        assert_eq!(table.find("a.css"), Some("text/css; charset=utf-8"));
    }
}
