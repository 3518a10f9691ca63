//! What was required, what was found, and whether it is enough.

use serde_json::{Map, Value, json};

/// What a figure has to be.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing is required of it.
    Reported,
}

struct Row {
    requirement: String,
    unit: &'static str,
    bar: Bar,
    /// Of all measurements.
    median: f64,
    worst: f64,
    measurements: usize,
    note: String,
}

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    details: Map<String, Value>,
}

impl Bar {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bar) => figure >= bar,
            Self::AtMost(bar) => figure <= bar,
            Self::Reported => true,
        }
    }
}

/// The median and the worst of figures; of an even number, the median is the worse of the two in
/// the middle.
pub(crate) fn median_and_worst(bar: Bar, figures: &[f64]) -> (f64, f64) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    if let Bar::AtLeast(_) = bar {
        sorted.reverse();
    }
    match sorted.as_slice() {
        [] => (f64::NAN, f64::NAN),
        all => (all[all.len() / 2], all[all.len() - 1]),
    }
}

fn short(figure: f64) -> String {
    if figure.is_nan() {
        "none".to_owned()
    } else if figure.abs() >= 100.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}

impl Row {
    fn verdict(&self) -> &'static str {
        match self.bar {
            _ if self.measurements == 0 => "NOT MEASURED",
            Bar::Reported => "reported",
            bar if bar.holds(self.worst) => "met",
            bar if bar.holds(self.median) => "met by the median, NOT by the worst",
            _ => "NOT met",
        }
    }

    fn shown(&self) -> Value {
        json!({
            "requirement": self.requirement, "unit": self.unit,
            "median": self.median, "worst": self.worst,
            "measurements": self.measurements, "verdict": self.verdict(), "note": self.note,
        })
    }
}

impl Report {
    /// Notes a row and prints it. All figures are of `unit`.
    pub(crate) fn row(
        &mut self,
        (requirement, unit): (&str, &'static str),
        bar: Bar,
        figures: &[f64],
        note: String,
    ) {
        let (median, worst) = median_and_worst(bar, figures);
        self.rows.push(Row {
            requirement: requirement.to_owned(),
            unit,
            bar,
            median,
            worst,
            measurements: figures.len(),
            note,
        });
        if let Some(row) = self.rows.last() {
            println!(
                "  => {requirement}: median {} {unit}, worst {} {unit}: {}",
                short(median),
                short(worst),
                row.verdict()
            );
        }
    }

    /// Keeps what stands behind the rows, for the line of JSON.
    pub(crate) fn detail(&mut self, name: &str, value: Value) {
        self.details.insert(name.to_owned(), value);
    }

    /// Prints the table, for people and for a README, and the line of JSON.
    pub(crate) fn print(&self, about: Value, is_short: bool) {
        println!("\n| What must hold | median | worst | | |\n|---|---|---|---|---|");
        for row in &self.rows {
            println!(
                "| {} | {} {unit} | {} {unit} | {} | {} |",
                row.requirement,
                short(row.median),
                short(row.worst),
                row.verdict(),
                row.note,
                unit = row.unit
            );
        }
        if is_short {
            println!(
                "\nSome sizes are below those that the requirements are about: this run shows \
                 that the bench works, and its verdicts say nothing."
            );
        }
        let rows: Vec<Value> = self.rows.iter().map(Row::shown).collect();
        let line = json!({
            "bench": "sessions", "is_short": is_short, "about": about, "rows": rows,
            "details": self.details,
        });
        println!("\n{line}");
    }
}
