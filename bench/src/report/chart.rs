//! Charts as SVG: bars, one for each row, which is all that these figures need.

use std::fmt::Write as _;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Written in front of it.
    pub label: String,
    /// Its length.
    pub value: f64,
    /// Part of it that is drawn darker, e.g. the bare floor; 0: none.
    pub floor: f64,
    /// Whether it stands out.
    pub ours: bool,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Written above it.
    pub title: String,
    /// Unit of the values.
    pub unit: String,
    /// A line across: the bar to be met; 0: none.
    pub limit: f64,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

const LABEL_WIDTH: f64 = 230.0;
const PLOT_WIDTH: f64 = 430.0;
const VALUE_WIDTH: f64 = 110.0;
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

impl Chart {
    /// As a document that reads on white and on black.
    #[must_use]
    pub fn svg(&self) -> String {
        let values = self.bars.iter().map(|bar| bar.value);
        let largest = values.fold(self.limit * 1.1, f64::max).max(1e-9);
        let x = |value: f64| value.max(0.0) / largest * PLOT_WIDTH;
        let height = TOP + ROW * self.bars.len() as f64 + 10.0;
        let width = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"13\" fill=\"#777\">\n\
             <text x=\"0\" y=\"18\" font-weight=\"bold\">{}</text>\n",
            escape(&self.title)
        );
        for (row, bar) in self.bars.iter().enumerate() {
            let y = TOP + ROW * row as f64;
            let middle = y + 15.0;
            let colour = if bar.ours { "#3b82c4" } else { "#b0a8b9" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{middle:.0}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{LABEL_WIDTH}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"20\" \
                 fill=\"{colour}\"/>",
                LABEL_WIDTH - 8.0,
                escape(&bar.label),
                x(bar.value),
            );
            if bar.floor > 0.0 {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{LABEL_WIDTH}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"20\" \
                     fill=\"#1f4e79\"/>",
                    x(bar.floor.min(bar.value)),
                );
            }
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{middle:.0}\">{:.2} {}</text>",
                LABEL_WIDTH + x(bar.value) + 6.0,
                bar.value,
                escape(&self.unit),
            );
        }
        if self.limit > 0.0 {
            let at = LABEL_WIDTH + x(self.limit);
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.0}\" y2=\"{:.0}\" stroke=\"#c0392b\" \
                 stroke-dasharray=\"4 3\"/>",
                TOP - 6.0,
                height - 8.0,
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_and_the_limit_are_drawn() {
        let bar = |value| Bar {
            label: "a < b".to_owned(),
            value,
            floor: 1.0,
            ours: true,
        };
        let chart = Chart {
            title: "CPU".to_owned(),
            unit: "us".to_owned(),
            limit: 2.8,
            bars: vec![bar(2.0), bar(4.0)],
        };
        let svg = chart.svg();
        assert_eq!(svg.matches("<rect").count(), 4);
        assert_eq!(svg.matches("<line").count(), 1);
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
    }
}
