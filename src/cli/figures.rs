//! The figures of `sightword eval` as people read them: aligned, on one screen.

use sightword::eval::{
    ClassFigures, Classes, Comparison, Interpretability, Negation, NoAnswer, Overused, Recall,
    Report, SecondLook,
};

use super::format::{count, counted};

/// Words listed of the worst classes and of the over-used tokens.
const LISTED: usize = 6;

/// The lines of a report.
pub(crate) fn report(report: &Report) -> Vec<String> {
    let mut lines = vec![heading(report)];
    lines.extend(both_ways(report));
    if let Some(classes) = &report.classes {
        lines.extend(by_class(report, classes));
    }
    lines.extend(tokens(report));
    let latency = &report.latency;
    lines.push(row(
        "latency",
        &format!(
            "a text {:.2} ms (p99 {:.2}), a search {:.2} ms (p99 {:.2})",
            latency.encode.median, latency.encode.p99, latency.search.median, latency.search.p99
        ),
    ));
    lines.extend(report.no_answer.iter().map(|found| no_answer(report, found)));
    lines.extend(report.negation.iter().flat_map(|found| negation(report, found)));
    lines.push(row(
        "[a b]",
        &format!(
            "95 % intervals, {} resamples, seed {}; --help explains the figures",
            count(report.resamples as u64),
            report.seed
        ),
    ));
    lines
}

fn heading(report: &Report) -> String {
    let photos = counted(report.photos as u64, "photo", "photos");
    let captions = counted(report.captions as u64, "caption", "captions");
    let Report { model, query_mode, .. } = report;
    format!("model {model}, query mode {query_mode}, {photos}, {captions}")
}

/// A name and what belongs to it.
fn row(name: &str, text: &str) -> String {
    format!("{name:<14} {text}")
}

/// A figure with its interval, such as `22.02 [20.91 23.13]`.
fn figure(report: &Report, path: &str, value: f64) -> String {
    match report.intervals.get(path) {
        Some([low, high]) => format!("{value:.2} [{low:.2} {high:.2}]"),
        None => format!("{value:.2}"),
    }
}

fn both_ways(report: &Report) -> Vec<String> {
    let second = report.second_look.as_ref();
    let ways = [
        ("text → image", "t2i", report.t2i),
        ("  re-ranked", "second_look.t2i", second.map(|second| second.t2i)),
        ("image → text", "i2t", report.i2t),
    ];
    let rows: Vec<String> = ways
        .into_iter()
        .filter_map(|(name, path, recall)| Some(recall_row(report, name, path, recall?)))
        .collect();
    if rows.is_empty() {
        return rows;
    }
    let names = ["R@1 = Success@1", "R@5", "R@10", "median rank", "RR@10"];
    let names: String = names.iter().map(|name| format!("{name:<22}")).collect();
    let by = second.map(by_whom).into_iter().collect();
    [vec![row("", names.trim_end())], rows, by].concat()
}

fn by_whom(second: &SecondLook) -> String {
    let SecondLook { name, hash, depth, .. } = second;
    row("re-ranked", &format!("the first {depth} by {name} {hash:.12}"))
}

fn recall_row(report: &Report, name: &str, path: &str, recall: Recall) -> String {
    let figures = [
        ("r1", recall.r1),
        ("r5", recall.r5),
        ("r10", recall.r10),
        ("median_rank", recall.median_rank),
        ("mrr10", recall.mrr10),
    ];
    let figures: String = figures
        .iter()
        .map(|(figure_name, value)| {
            format!("{:<22}", figure(report, &format!("{path}.{figure_name}"), *value))
        })
        .collect();
    row(name, figures.trim_end())
}

fn by_class(report: &Report, classes: &Classes) -> Vec<String> {
    let labels = counted(classes.labels as u64, "label", "labels");
    let photos = counted(classes.photos as u64, "photo", "photos");
    let best = classes.greatest_p10;
    let mut lines =
        vec![row("classes", &format!("{labels} of {photos}; P@10 can reach {best:.2}"))];
    let by_tower = classes.tower.as_ref().map(|figures| ("  tower", "classes.tower", figures));
    for (name, path, figures) in
        by_tower.into_iter().chain([("  table", "classes.table", &classes.table)])
    {
        let p10 = figure(report, &format!("{path}.p10"), figures.p10);
        let map = figure(report, &format!("{path}.map"), figures.map);
        lines.push(row(name, &format!("P@10 {p10}  mean AP {map}")));
    }
    let asked = classes.tower.as_ref().unwrap_or(&classes.table);
    lines.push(row("  worst", &worst(asked)));
    lines
}

fn worst(figures: &ClassFigures) -> String {
    let classes = figures.worst.iter().take(LISTED);
    classes.map(|class| format!("{} {:.1}", class.label, class.ap)).collect::<Vec<_>>().join(", ")
}

fn tokens(report: &Report) -> Vec<String> {
    let image = figure(report, "image_tokens", report.image_tokens);
    let text = figure(report, "text_tokens", report.text_tokens);
    let shared = figure(report, "flops", report.flops);
    let Interpretability { top5, top10, shuffled5, shuffled10 } = report.interpretability;
    let top5 = figure(report, "interpretability.top5", top5);
    let top10 = figure(report, "interpretability.top10", top10);
    let used = &report.token_use;
    let overused: Vec<String> = used
        .overused
        .iter()
        .take(LISTED)
        .map(|Overused { token, share }| format!("{token} {share:.0} %"))
        .collect();
    let (dead, outputs) = (count(used.dead as u64), count(used.outputs as u64));
    vec![
        row("tokens", &format!("{image} a photo, {text} a text, {shared} shared by a pair")),
        row(
            "words",
            &format!(
                "of 5: {top5} %, shuffled {shuffled5:.2}; of 10: {top10} %, shuffled {shuffled10:.2}"
            ),
        ),
        row("over-used", &format!("{} {}", used.overused.len(), overused.join(", "))),
        row("dead", &format!("{dead} of {outputs} tokens that a photo can have")),
    ]
}

fn no_answer(report: &Report, found: &NoAnswer) -> String {
    let wrong = figure(report, "no_answer.false_answers", found.false_answers);
    let lost = figure(report, "no_answer.lost_answers", found.lost_answers);
    let (word, text) = (100.0 * found.threshold.word, 100.0 * found.threshold.text);
    let queries = found.queries;
    let figures = format!("of {queries} answered {wrong} %, captions lost {lost} %");
    row("no answer", &format!("below {word:.0} % for a word, {text:.0} % for a text: {figures}"))
}

fn negation(report: &Report, found: &Negation) -> Vec<String> {
    let rows = [("with", found.with), ("without", found.without)];
    let line = |(name, page): (&str, sightword::eval::Page)| {
        let p10 = figure(report, &format!("negation.{name}.p10"), page.p10);
        let forbidden = figure(report, &format!("negation.{name}.forbidden"), page.forbidden);
        row(&format!("  {name}"), &format!("P@10 {p10}  forbidden {forbidden} %"))
    };
    let heading = row("negation", &counted(found.queries as u64, "query", "queries"));
    [vec![heading], rows.into_iter().map(line).collect()].concat()
}

/// The lines of a comparison.
pub(crate) fn comparison(comparison: &Comparison) -> Vec<String> {
    let mut lines =
        vec![format!("against {}: its figure, how much ours is more, p", comparison.model)];
    for (path, found) in &comparison.differences {
        let [low, high] = found.interval;
        let difference = format!("{:+.2} [{low:+.2} {high:+.2}]", found.difference);
        lines.push(format!("  {path:<26} {:>8.2} {difference:<24} {:.4}", found.other, found.p));
    }
    lines
}
