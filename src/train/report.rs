//! `report.html`: the curves of a run on one page that needs no other file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::metrics::{DevLine, Line, StepLine};

/// Width and height of a chart, in pixels, and the margin for its axes.
const SIZE: (f64, f64) = (380.0, 200.0);
const MARGIN: (f64, f64) = (44.0, 22.0);

/// Points that a curve has at the most; of more, means are shown.
const POINTS: usize = 250;

const COLOURS: [&str; 3] = ["#1f6feb", "#d29922", "#2da44e"];

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1240px;\
padding:0 1rem;color:#1f2328;background:#fff}svg{margin:0 1rem 1rem 0}text{font-size:11px;\
fill:#59636e}.title{font-size:13px;fill:#1f2328}table{border-collapse:collapse}\
td,th{padding:.1rem .8rem .1rem 0;text-align:left}";

/// A named curve.
struct Curve {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// The page for the lines of a run.
pub(crate) fn page(name: &str, lines: &[Line]) -> String {
    let mut steps = Vec::new();
    let mut dev = Vec::new();
    for line in lines {
        match line {
            Line::Step(line) => steps.push(line),
            Line::Dev(line) => dev.push(line),
        }
    }
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Training of {0}</title>\n\
         <style>{STYLE}</style>\n<h1>Training of {0}</h1>\n{1}",
        escape(name),
        stages(&steps)
    );
    if let Some(last) = dev.last() {
        page.push_str("<h2>On the dev photos</h2>\n");
        dev_charts(&dev, &mut page);
        frequent(last, &mut page);
    }
    page.push_str("<h2>Losses</h2>\n");
    for (name, points) in losses(&steps) {
        page.push_str(&chart(&name, &[Curve { name: "", points }]));
    }
    let rate = steps.iter().map(|line| (float(line.step), line.learning_rate)).collect();
    page.push_str(&chart("learning rate", &[Curve { name: "", points: rate }]));
    page.push_str("</html>\n");
    page
}

fn stages(steps: &[&StepLine]) -> String {
    let mut last: Vec<(&str, usize)> = Vec::new();
    for line in steps {
        match last.last_mut() {
            Some((stage, step)) if *stage == line.stage => *step = line.step,
            _ => last.push((&line.stage, line.step)),
        }
    }
    let told = last.iter().map(|(stage, step)| format!("{} to step {step}", escape(stage)));
    format!("<p>Stages: {}.</p>\n", told.collect::<Vec<_>>().join(", "))
}

fn dev_charts(dev: &[&DevLine], page: &mut String) {
    let curve = |name, value: fn(&DevLine) -> f64| Curve {
        name,
        points: dev.iter().map(|line| (float(line.step), value(line))).collect(),
    };
    let recall = [
        curve("R@1", |line| line.report.t2i.r1),
        curve("R@5", |line| line.report.t2i.r5),
        curve("R@10", |line| line.report.t2i.r10),
    ];
    let back = [
        curve("R@1", |line| line.report.i2t.r1),
        curve("R@5", |line| line.report.i2t.r5),
        curve("R@10", |line| line.report.i2t.r10),
    ];
    let tokens = [
        curve("a photo", |line| line.report.image_tokens),
        curve("a caption", |line| line.report.text_tokens),
    ];
    let dead = [curve("", |line| float(line.report.dead))];
    page.push_str(&chart("text → image, %", &recall));
    page.push_str(&chart("image → text, %", &back));
    page.push_str(&chart("active tokens after pruning", &tokens));
    page.push_str(&chart("dead tokens", &dead));
}

fn frequent(line: &DevLine, page: &mut String) {
    let _ = write!(page, "<h3>Most frequent tokens after step {}</h3>\n<table>", line.step);
    for (word, share) in &line.report.frequent {
        let _ = write!(page, "<tr><td>{}</td><td>{:.1}%</td></tr>", escape(word), share * 100.0);
    }
    page.push_str("</table>\n");
}

/// Each loss as a curve, `total` first.
fn losses(steps: &[&StepLine]) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut curves: BTreeMap<(bool, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for line in steps {
        for (name, &loss) in &line.losses {
            let curve = curves.entry((name != "total", name)).or_default();
            curve.push((float(line.step), f64::from(loss)));
        }
    }
    curves.into_iter().map(|((_, name), points)| (name.to_owned(), points)).collect()
}

/// A line chart.
fn chart(title: &str, curves: &[Curve]) -> String {
    let shown: Vec<Vec<(f64, f64)>> = curves.iter().map(|curve| thin(&curve.points)).collect();
    let all = || shown.iter().flatten();
    let range = |value: fn(&(f64, f64)) -> f64| {
        let (low, high) = all()
            .map(value)
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        // One value has no range: it stands in the middle.
        let around = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
        if low < high { (low, high) } else { (low - around, low + around) }
    };
    let mut svg = format!(
        "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\">\
         <text class=\"title\" x=\"{2}\" y=\"14\">{3}</text>",
        SIZE.0,
        SIZE.1,
        MARGIN.0,
        escape(title)
    );
    if all().next().is_none() {
        svg.push_str("</svg>\n");
        return svg;
    }
    let (x, y) = (range(|point| point.0), range(|point| point.1));
    let across = |v: f64| MARGIN.0 + (v - x.0) / (x.1 - x.0) * (SIZE.0 - MARGIN.0 - 8.0);
    let down = |v: f64| SIZE.1 - MARGIN.1 - (v - y.0) / (y.1 - y.0) * (SIZE.1 - 2.0 * MARGIN.1);
    for value in [y.0, y.1] {
        let (at, label) = (down(value), short(value));
        let _ = write!(
            svg,
            "<line x1=\"{0}\" y1=\"{at:.1}\" x2=\"{1}\" y2=\"{at:.1}\" stroke=\"#d1d9e0\"/>\
             <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{label}</text>",
            MARGIN.0,
            SIZE.0 - 8.0,
            MARGIN.0 - 4.0,
            at + 4.0
        );
    }
    for (value, anchor) in [(x.0, "start"), (x.1, "end")] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            across(value),
            SIZE.1 - 6.0,
            format_args!("{value:.0}")
        );
    }
    for (number, (curve, points)) in curves.iter().zip(&shown).enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points = points.iter().map(|p| format!("{:.1},{:.1}", across(p.0), down(p.1)));
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\
             <text x=\"{}\" y=\"14\" style=\"fill:{colour}\">{}</text>",
            points.collect::<Vec<_>>().join(" "),
            SIZE.0 - 130.0 + 44.0 * float(number),
            curve.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Means of neighbours, so that at most [`POINTS`] are left.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let together = points.len().div_ceil(POINTS).max(1);
    let mean = |chunk: &[(f64, f64)], value: fn(&(f64, f64)) -> f64| {
        chunk.iter().map(value).sum::<f64>() / float(chunk.len())
    };
    points.chunks(together).map(|c| (mean(c, |p| p.0), mean(c, |p| p.1))).collect()
}

/// Three digits are enough for an axis.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        large if large >= 99.5 => format!("{value:.0}"),
        medium if medium >= 0.095 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[expect(clippy::cast_precision_loss, reason = "for a chart")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Recall;
    use crate::train::dev::DevReport;

    fn lines() -> Vec<Line> {
        let step = |step: usize| {
            let losses = [("itc".to_owned(), 2.0), ("total".to_owned(), 3.0)];
            Line::Step(StepLine {
                step,
                stage: "first & only".to_owned(),
                learning_rate: 0.001,
                losses: losses.into_iter().collect(),
                image_tokens: 12.0,
                text_tokens: 7.0,
            })
        };
        let recall = |r1| Recall { r1, r5: 40.0, r10: 60.0 };
        let dev = |step, r1| {
            Line::Dev(DevLine {
                step,
                stage: "first & only".to_owned(),
                report: DevReport {
                    t2i: recall(r1),
                    i2t: recall(r1 + 5.0),
                    image_tokens: 11.0,
                    text_tokens: 6.0,
                    dead: 3,
                    outputs: 40,
                    frequent: vec![("<dog>".to_owned(), 0.25)],
                },
            })
        };
        vec![step(1), step(2), dev(2, 10.0), step(3), step(4), dev(4, 15.0)]
    }

    #[test]
    fn the_page_shows_the_run() {
        insta::assert_snapshot!(page("mine", &lines()));
    }

    #[test]
    fn a_run_without_a_step_has_a_page_too() {
        assert!(page("mine", &[]).ends_with("</html>\n"));
    }

    #[test]
    fn many_points_are_thinned() {
        let points: Vec<_> = (0..1000).map(|at| (float(at), 1.0)).collect();
        assert_eq!(thin(&points).len(), 250);
        assert_eq!(thin(&points)[0], (1.5, 1.0));
    }
}
