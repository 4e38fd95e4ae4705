//! Pages.

mod attributes;
mod charset;
mod css;
