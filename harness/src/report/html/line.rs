//! Lines and bars of a chart, and what stands beside the pointer.

use crate::report::escape::Text;

/// A line, broken where there is no value.
pub(super) struct Line {
    /// The class of its colour.
    pub(super) class: String,
    /// What the legend calls it.
    pub(super) label: String,
    /// Seconds and values.
    pub(super) points: Vec<(f64, Option<f64>)>,
    /// Drawn as bars from the bottom rather than as a line.
    pub(super) bars: bool,
}

/// What stands beside the pointer while it is over a stretch of time.
pub(super) struct Tip {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) lines: Vec<String>,
}

impl Line {
    pub(super) fn new(class: &str, label: &str, points: impl Iterator<Item = (f64, Option<f64>)>) -> Self {
        Self { class: class.into(), label: label.into(), points: points.collect(), bars: false }
    }

    pub(super) fn bars(class: &str, label: &str, points: impl Iterator<Item = (f64, Option<f64>)>) -> Self {
        Self { bars: true, ..Self::new(class, label, points) }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f64> + Clone {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// As SVG, with the places of a chart.
    pub(super) fn draw(&self, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64, bar: f64) -> String {
        if self.bars {
            return self.draw_bars(x, y, bar);
        }
        let mut path = String::new();
        let mut dots = String::new();
        let mut pen_down = false;
        for (index, (at_s, value)) in self.points.iter().enumerate() {
            let Some(value) = value else {
                pen_down = false;
                continue;
            };
            let (x, y) = (x(*at_s), y(*value));
            let alone = !pen_down && self.points.get(index + 1).is_none_or(|(_, next)| next.is_none());
            if alone {
                // A path of one point shows nothing.
                dots += &format!(
                    "<circle class=\"dot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>",
                    Text(&self.class)
                );
            }
            path += &format!("{}{x:.1} {y:.1}", if pen_down { "L" } else { "M" });
            pen_down = true;
        }
        format!("<path class=\"line {}\" d=\"{path}\"/>{dots}\n", Text(&self.class))
    }

    fn draw_bars(&self, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64, bar: f64) -> String {
        let shown =
            self.points.iter().filter_map(|(at_s, value)| Some((*at_s, value.filter(|value| *value > 0.0)?)));
        let bars = shown.map(|(at_s, value)| {
            let (left, top) = (x(at_s - bar / 2.0), y(value));
            let (width, height) = ((x(at_s + bar / 2.0) - left - 0.6).max(0.8), (y(0.0) - top).max(1.0));
            format!("<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>")
        });
        format!("<g class=\"bars {}\">{}</g>\n", Text(&self.class), bars.collect::<String>())
    }
}

/// The legend of lines.
pub(super) fn legend<'a>(lines: impl Iterator<Item = &'a Line>) -> String {
    let key = |line: &Line| {
        format!("<span><i class=\"key {}\"></i>{}</span>", Text(&line.class), Text(&line.label))
    };
    format!("<p class=\"legend\">{}</p>\n", lines.map(key).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn a_line_is_broken_where_there_is_no_value() {
        let points = [(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (3.0, Some(4.0))];
        let svg = Line::new("p50", "p50", points.into_iter()).draw(|x| x, |y| y, 1.0);
        assert!(svg.contains("d=\"M0.0 1.0L1.0 2.0M3.0 4.0\""), "{svg}");
        assert!(svg.contains("<circle class=\"dot p50\" cx=\"3.0\" cy=\"4.0\""), "{svg}");
    }

    #[test]
    fn bars_of_nothing_are_not_drawn() {
        let svg = Line::bars("errors", "errors", [(0.5, Some(0.0)), (1.5, Some(3.0))].into_iter()).draw(
            |x| x,
            |y| 10.0 - y,
            1.0,
        );
        assert_eq!(svg.matches("<rect").count(), 1, "{svg}");
    }
}
