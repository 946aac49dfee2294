//! Builds the families of a scrape out of readings.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::series::{DURATION_BUCKETS_US, DurationHistogram};

/// Label names and values of one sample.
type Labels<'a> = &'a [(&'a str, &'a str)];

/// One family under construction: a name, its type and its samples.
pub(super) struct Family(MetricFamily);

impl Family {
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.into());
        family.set_help(help.into());
        family.set_field_type(kind);
        Self(family)
    }

    /// Adds a sample of a counter or a gauge.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        let mut metric = Metric::from_label(pairs(labels));
        if self.0.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.0.mut_metric().push(metric);
    }

    /// A family of a single sample.
    pub(super) fn with(mut self, labels: Labels<'_>, value: f64) -> Self {
        self.sample(labels, value);
        self
    }

    /// Adds a sample of a histogram.
    pub(super) fn durations(&mut self, labels: Labels<'_>, histogram: &DurationHistogram) {
        let (counts, sum_seconds) = histogram.read();
        let mut total = 0;
        let mut cumulative = counts.iter().map(|count| {
            total += count;
            total
        });
        let buckets = DURATION_BUCKETS_US
            .iter()
            .zip(&mut cumulative)
            .map(|(bound_us, count)| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound_us as f64 / 1e6);
                bucket.set_cumulative_count(count);
                bucket
            })
            .collect();
        let mut sample = Histogram::default();
        sample.set_bucket(buckets);
        sample.set_sample_count(counts.iter().sum());
        sample.set_sample_sum(sum_seconds);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(sample);
        self.0.mut_metric().push(metric);
    }

    /// The finished family; `None` without samples, which the text format does not allow.
    pub(super) fn finish(self) -> Option<MetricFamily> {
        (!self.0.get_metric().is_empty()).then_some(self.0)
    }
}

fn pairs(labels: Labels<'_>) -> Vec<LabelPair> {
    labels
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).into());
            pair.set_value((*value).into());
            pair
        })
        .collect()
}
