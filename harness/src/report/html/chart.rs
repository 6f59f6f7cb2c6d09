//! One chart over the load's time line, as inline SVG: phases as bands, faults as spans, lines, and what the pointer
//! shows. All of it is text; the colours are in `page.css`.

use super::{
    line::{Line, Tip},
    scale::{Scale, time_step},
};
use crate::report::{Story, escape::Text, show};

/// The pattern of phases that are not judged; defined once a page.
pub(super) const HATCH: &str = "<svg width=\"0\" height=\"0\" class=\"defs\" aria-hidden=\"true\"><defs>\
<pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect class=\"hatch\" width=\"2\" height=\"7\"/></pattern></defs></svg>";

const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 24.0;
const ROW: f64 = 16.0;
/// Width of a letter of the labels, about.
const LETTER: f64 = 6.3;

/// What is drawn.
pub(super) struct Chart<'a> {
    pub(super) story: &'a Story,
    /// What a screen reader says.
    pub(super) title: &'a str,
    /// Width of the whole and height of the plot.
    pub(super) size: (f64, f64),
    pub(super) scale: Scale,
    /// How values beside the axis are written.
    pub(super) unit: fn(f64) -> String,
    pub(super) lines: Vec<Line>,
    /// Values with a name: objectives, allotments.
    pub(super) bounds: Vec<(f64, String)>,
    pub(super) tips: Vec<Tip>,
    /// Whether phases and faults are named above the plot.
    pub(super) named: bool,
}

impl Chart<'_> {
    /// As SVG.
    pub(super) fn draw(&self) -> String {
        let rows = if self.named { self.fault_rows() } else { Vec::new() };
        let top = if self.named {
            ROW * (1.4 + rows.iter().max().map_or(0.0, |row| *row as f64 + 1.0))
        } else {
            8.0
        };
        let plot = Plot { chart: self, top };
        let (width, height) = (self.size.0, top + self.size.1 + BOTTOM);
        let bar = self.story.bucket_s as f64;
        let lines: String =
            self.lines.iter().map(|line| line.draw(|s| plot.x(s), |v| plot.y(v), bar)).collect();
        let parts =
            [plot.phases(), plot.faults(&rows), plot.grid(), lines, plot.bounds(), plot.tips()].concat();
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"{}\">\n{parts}</svg>\n",
            Text(self.title)
        )
    }

    /// The row of each fault's name: the first in which it meets no other.
    fn fault_rows(&self) -> Vec<usize> {
        let plot = Plot { chart: self, top: 0.0 };
        let mut ends: Vec<f64> = Vec::new();
        let mut rows = Vec::new();
        for fault in self.story.spans() {
            let from = plot.x(fault.began_s.unwrap_or(fault.planned_s));
            let to = from + fault.title.chars().count() as f64 * LETTER + 12.0;
            let row = ends.iter().position(|end| *end <= from).unwrap_or(ends.len());
            if row == ends.len() {
                ends.push(to)
            } else {
                ends[row] = to
            }
            rows.push(row);
        }
        rows
    }
}

/// The plot of a chart, with its places.
struct Plot<'a> {
    chart: &'a Chart<'a>,
    top: f64,
}

impl Plot<'_> {
    fn x(&self, at_s: f64) -> f64 {
        let ends_s = self.chart.story.ends_s().max(1.0);
        LEFT + (at_s / ends_s).clamp(0.0, 1.0) * (self.chart.size.0 - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + (1.0 - self.chart.scale.place(value)) * self.chart.size.1
    }

    fn bottom(&self) -> f64 {
        self.top + self.chart.size.1
    }

    fn phases(&self) -> String {
        let mut svg = String::new();
        for (number, phase) in self.chart.story.phases.iter().enumerate() {
            let (from, to) = (self.x(phase.begins_s), self.x(phase.ends_s));
            let class = match (phase.judged, number % 2) {
                (false, _) => "unjudged",
                (true, 0) => "even",
                (true, _) => "odd",
            };
            svg += &rect(&format!("band {class}"), from, self.top, to - from, self.chart.size.1);
            let name = if phase.judged { phase.name.clone() } else { format!("{} (not judged)", phase.name) };
            let fits = (to - from) > name.chars().count() as f64 * LETTER;
            if self.chart.named {
                let name = if fits { &name } else { &phase.name };
                svg += &text("phase", from + 4.0, 12.0, name);
            }
        }
        svg
    }

    fn faults(&self, rows: &[usize]) -> String {
        let mut svg = String::new();
        for (number, fault) in self.chart.story.spans().enumerate() {
            let Some(began_s) = fault.began_s else { continue };
            let (from, to) = (self.x(began_s), self.x(fault.over_s().unwrap_or(f64::INFINITY)));
            svg += &rect("fault", from, self.top, (to - from).max(1.5), self.chart.size.1);
            if let Some(row) = rows.get(number) {
                let y = 12.0 + ROW * (*row as f64 + 1.0);
                svg += &format!(
                    "<path class=\"fault-edge\" d=\"M{from:.1} {:.1}V{:.1}\"/>",
                    y - 10.0,
                    self.bottom()
                );
                svg += &text("fault-name", from + 4.0, y, &fault.title);
            }
        }
        svg
    }

    fn grid(&self) -> String {
        let mut svg = String::new();
        let right = self.chart.size.0 - RIGHT;
        for tick in self.chart.scale.ticks(self.chart.size.1) {
            let y = self.y(tick);
            svg += &format!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>");
            svg += &text("tick end", LEFT - 6.0, y + 3.5, &(self.chart.unit)(tick));
        }
        let ends_s = self.chart.story.ends_s();
        let step = time_step(ends_s * 1_040.0 / self.chart.size.0);
        let count = (ends_s / step).floor().min(100.0) as u32;
        for at_s in (0..=count).map(|number| f64::from(number) * step) {
            let name = if ends_s > 120.0 { show::clock(at_s) } else { format!("{at_s} s") };
            svg += &text("tick middle", self.x(at_s), self.bottom() + 16.0, &name);
        }
        svg + &format!("<path class=\"axis\" d=\"M{LEFT} {:.1}H{right}\"/>\n", self.bottom())
    }

    fn bounds(&self) -> String {
        let right = self.chart.size.0 - RIGHT;
        let bound = |(value, name): &(f64, String)| {
            let y = self.y(*value);
            let line = format!("<path class=\"bound\" d=\"M{LEFT} {y:.1}H{right}\"/>");
            // Below the line where there is no room above it.
            let name_y = if y - self.top < 14.0 { y + 13.0 } else { y - 4.0 };
            line + &text("bound-name end", right - 4.0, name_y, name)
        };
        self.chart.bounds.iter().map(bound).collect()
    }

    fn tips(&self) -> String {
        self.chart.tips.iter().map(|tip| self.tip(tip)).collect()
    }

    fn tip(&self, tip: &Tip) -> String {
        let (from, to) = (self.x(tip.from_s), self.x(tip.to_s));
        let longest = tip.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as f64;
        let (width, height) = (longest * LETTER + 16.0, tip.lines.len() as f64 * 15.0 + 10.0);
        let middle = f64::midpoint(from, to);
        let left =
            if middle + width + 12.0 > self.chart.size.0 { middle - width - 8.0 } else { middle + 8.0 };
        let lines = tip.lines.iter().enumerate();
        let lines: String = lines
            .map(|(row, line)| text("", left + 8.0, self.top + 20.0 + 15.0 * row as f64, line))
            .collect();
        format!(
            "<g class=\"tip\">{}<g class=\"box\"><path class=\"cross\" d=\"M{middle:.1} {:.1}V{:.1}\"/>{}{lines}</g></g>\n",
            rect("hit", from, self.top, to - from, self.chart.size.1),
            self.top,
            self.bottom(),
            rect("paper", left, self.top + 4.0, width, height),
        )
    }
}

fn rect(class: &str, x: f64, y: f64, width: f64, height: f64) -> String {
    let width = width.max(0.0);
    format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>")
}

fn text(class: &str, x: f64, y: f64, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", Text(text))
}
