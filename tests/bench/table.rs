//! What was measured, as the table in docs/performance.md.

use std::fmt;

#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<[String; 5]>,
    /// Rows that do not keep what they must.
    missed: Vec<String>,
}

impl Table {
    /// A figure beside another's, and their ratio.
    pub fn ratio(&mut self, measure: &str, ours: (&str, f64), other: (&str, f64), must: &str) {
        let ratio = ours.1 / other.1;
        self.row(
            measure,
            &figure(ours),
            &figure(other),
            &format!("{ratio:.2}"),
            must,
        );
    }

    /// A figure by itself.
    pub fn plain(&mut self, measure: &str, ours: (&str, f64), must: &str) {
        self.row(measure, &figure(ours), "", "", must);
    }

    /// A figure that must not be larger than another.
    pub fn at_most(&mut self, measure: &str, ours: (&str, f64), most: f64) {
        let must = self.kept(measure, ours.1, most);
        self.plain(measure, ours, &must);
    }

    /// A figure that must not be larger than another's, times so much.
    pub fn ratio_at_most(
        &mut self,
        measure: &str,
        ours: (&str, f64),
        other: (&str, f64),
        most: f64,
    ) {
        let must = self.kept(measure, ours.1 / other.1, most);
        self.ratio(measure, ours, other, &must);
    }

    /// The must of a row, and whether it is kept.
    fn kept(&mut self, measure: &str, figure: f64, most: f64) -> String {
        if figure <= most {
            return most.to_string();
        }
        let missed = format!("{measure}: {figure:.2} is more than {most}");
        eprintln!("MISSED: {missed}");
        self.missed.push(missed);
        format!("**{most}, MISSED**")
    }

    /// The rows that do not keep what they must.
    pub fn missed(&self) -> &[String] {
        &self.missed
    }

    fn row(&mut self, measure: &str, ours: &str, other: &str, ratio: &str, must: &str) {
        eprintln!("{measure}: {ours} {other} {ratio}");
        self.rows
            .push([measure, ours, other, ratio, must].map(str::to_owned));
    }
}

/// A number with three significant digits and its unit or name; the name stands before where it is one.
fn figure((unit, value): (&str, f64)) -> String {
    let value = match value {
        large if large >= 100.0 => format!("{large:.0}"),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        0.0 => "0".to_owned(),
        negative if negative < 0.0 => format!("{negative:.1}"),
        small => format!("{small:.2}"),
    };
    match unit.split_once(": ") {
        Some((name, unit)) => format!("{name} {value} {unit}"),
        None => format!("{value} {unit}"),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "| measure | Throughway | beside | ratio | must |"
        )?;
        writeln!(formatter, "|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(formatter, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}
