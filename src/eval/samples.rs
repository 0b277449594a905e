//! The figures of a report, each with the values that it is made of.

use std::collections::BTreeMap;

use super::bootstrap::{Difference, Sample};
use super::measures::hundredths;

/// Samples by the path at which their figure stands in the report's JSON form, such as `t2i.r1`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Samples(BTreeMap<String, Sample>);

impl Samples {
    /// Takes a sample; returns its figure to two decimals, for the report.
    pub(crate) fn add(&mut self, path: impl Into<String>, sample: Sample) -> f64 {
        let figure = hundredths(sample.value());
        self.0.insert(path.into(), sample);
        figure
    }

    /// The 95 % interval of each figure.
    pub(crate) fn intervals(&self) -> BTreeMap<String, [f64; 2]> {
        let interval =
            |(path, sample): (&String, &Sample)| Some((path.clone(), sample.interval()?));
        self.0.iter().filter_map(interval).collect()
    }

    /// How each figure that both have differs.
    pub(crate) fn less(&self, other: &Self) -> BTreeMap<String, Difference> {
        let difference = |(path, sample): (&String, &Sample)| {
            Some((path.clone(), sample.less(other.0.get(path)?)?))
        };
        self.0.iter().filter_map(difference).collect()
    }
}
