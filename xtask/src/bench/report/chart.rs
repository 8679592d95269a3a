//! Bars as SVG, by hand: names on the left, values at the bars' ends, readable on light and dark pages.

use std::fmt::Write as _;

const WIDTH: u32 = 760;
const LABELS: u32 = 180;
/// Beside the longest bar, for its value.
const VALUES: u32 = 80;
const ROW: u32 = 26;
const BAR: u32 = 18;
/// Above a panel's bars.
const TITLE: u32 = 34;
const MARGIN: u32 = 10;

/// One measure.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) name: &'static str,
    pub(super) value: f64,
    /// The value as it is shown.
    pub(super) text: String,
    /// The one that the chart is about.
    pub(super) ours: bool,
}

/// The panels below each other, each with a scale of its own that starts at zero.
pub(super) fn svg(panels: &[Panel]) -> String {
    let height: u32 = panels.iter().map(Panel::height).sum::<u32>() + MARGIN;
    // Writing to a string cannot fail.
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let mut top = 0;
    for panel in panels {
        panel.draw(top, &mut text);
        top += panel.height();
    }
    text.push_str("</svg>\n");
    text
}

impl Panel {
    fn height(&self) -> u32 {
        let rows = u32::try_from(self.bars.len()).unwrap_or(u32::MAX / ROW);
        TITLE + rows * ROW
    }

    fn draw(&self, top: u32, text: &mut String) {
        let _ = writeln!(
            text,
            "<text x=\"{MARGIN}\" y=\"{}\" font-weight=\"bold\" fill=\"#222\">{}</text>",
            top + TITLE - MARGIN,
            self.title
        );
        let most = self.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        let mut y = top + TITLE;
        for bar in &self.bars {
            let length = bar.value / most * f64::from(WIDTH - LABELS - VALUES);
            let colour = if bar.ours { "#0a7d5c" } else { "#9aa5b1" };
            let base = y + BAR - 4;
            let _ = writeln!(
                text,
                "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\" fill=\"#222\">{}</text>\n\
                 <rect x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
                 <text x=\"{:.1}\" y=\"{base}\" fill=\"#222\">{}</text>",
                LABELS - MARGIN,
                bar.name,
                f64::from(LABELS) + length + 6.0,
                bar.text
            );
            y += ROW;
        }
    }
}
