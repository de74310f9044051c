//! Charts of a course: capacity, estimates and the queue over time, as SVG.

use core::fmt::Write as _;
use std::path::Path;

use crate::plan::Course;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;
const QUEUE_HEIGHT: f64 = 100.0;
const QUEUE_MAX_MS: f64 = 400.0;
const COLOURS: [&str; 3] = ["#1f77b4", "#ff7f0e", "#2ca02c"];

/// Writes `name`.svg.
pub(crate) fn draw(dir: &Path, name: &str, course: &Course) {
    let end = course.looks.last().map_or(1.0, |l| l.at.as_micros() as f64);
    let begin = course
        .looks
        .first()
        .map_or(0.0, |l| l.at.as_micros() as f64);
    let x = |us: u64| (us as f64 - begin) / (end - begin) * WIDTH;
    let most = course
        .looks
        .iter()
        .map(|l| l.capacity_bps)
        .max()
        .unwrap_or(1) as f64
        * 1.3;
    let y = |bps: u64| HEIGHT - (bps as f64 / most * HEIGHT).min(HEIGHT);
    let line = |points: Vec<(f64, f64)>, colour: &str, width: f64| {
        let points = points.iter().fold(String::new(), |mut text, (x, y)| {
            let _ = write!(text, "{x:.1},{y:.1} ");
            text
        });
        format!(
            "<polyline fill='none' stroke='{colour}' stroke-width='{width}' points='{points}'/>\n"
        )
    };
    let looks = || course.looks.iter();
    let mut body = line(
        looks()
            .map(|l| (x(l.at.as_micros()), y(l.capacity_bps)))
            .collect(),
        "#888",
        3.0,
    );
    for (viewer, colour) in COLOURS.iter().enumerate() {
        let estimates = looks().filter_map(|l| {
            let (bps, _) = (*l.viewers.get(viewer)?)?;
            Some((x(l.at.as_micros()), y(bps)))
        });
        body += &line(estimates.collect(), colour, 1.5);
    }
    let queue = looks().map(|l| {
        let ms = (l.queue.as_secs_f64() * 1000.0).min(QUEUE_MAX_MS);
        let y = HEIGHT + 20.0 + QUEUE_HEIGHT * (1.0 - ms / QUEUE_MAX_MS);
        (x(l.at.as_micros()), y)
    });
    body += &line(queue.collect(), "#d62728", 1.0);
    let height = HEIGHT + QUEUE_HEIGHT + 40.0;
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 -20 {WIDTH} {height}' font-family='sans-serif' \
         font-size='12'>\n<rect y='-20' width='{WIDTH}' height='{height}' fill='white'/>\n<text x='4' y='-6'>{name}: \
         capacity (grey) and estimates up to {:.1} Mbit/s, queue (red) up to {QUEUE_MAX_MS} ms, {:.0} s</text>\n{body}</svg>\n",
        most / 1e6,
        (end - begin) / 1e6,
    );
    let file = dir.join(format!("{}.svg", name.replace([' ', ','], "_")));
    std::fs::write(&file, svg).expect("SIM_PLOT_DIR can be written to");
}
