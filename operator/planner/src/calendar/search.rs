//! When are several things open at once?

use jiff::Timestamp;
use std::iter::Peekable;

/// A span of time, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

/// Makes one of spans that overlap or touch. They come by their beginnings, and so do those that are given.
pub(super) fn merged(spans: impl Iterator<Item = Span>) -> impl Iterator<Item = Span> {
    let mut spans = spans.peekable();
    std::iter::from_fn(move || {
        let mut span = spans.next()?;
        while let Some(next) = spans.next_if(|next| next.from <= span.until) {
            span.until = span.until.max(next.until);
        }
        Some(span)
    })
}

/// What is between the spans, and before the first and after the last, given spans that neither overlap nor touch.
pub(super) fn between(spans: impl Iterator<Item = Span>) -> impl Iterator<Item = Span> {
    let end = Span { from: Timestamp::MAX, until: Timestamp::MAX };
    let gaps = spans.chain([end]).scan(Timestamp::MIN, |from, span| {
        let gap = Span { from: *from, until: span.from };
        *from = span.until;
        Some(gap)
    });
    gaps.filter(|gap| gap.from < gap.until)
}

/// The spans in which everything that was added is open.
pub(super) struct Intersection<'a> {
    at: Timestamp,
    to: Timestamp,
    sources: Vec<Peekable<Box<dyn Iterator<Item = Span> + 'a>>>,
}

impl<'a> Intersection<'a> {
    /// With nothing added, all from `from` until `to`.
    pub(super) fn within(from: Timestamp, to: Timestamp) -> Self {
        Self { at: from, to, sources: Vec::new() }
    }

    /// Adds when something is open: spans in order that neither overlap nor touch.
    pub(super) fn add(&mut self, spans: impl Iterator<Item = Span> + 'a) {
        let spans: Box<dyn Iterator<Item = Span> + 'a> = Box::new(spans);
        self.sources.push(spans.peekable());
    }
}

impl Iterator for Intersection<'_> {
    type Item = Span;

    /// Each round goes on from where the last of the sources opens; a round in which none had closed by then is a span.
    fn next(&mut self) -> Option<Span> {
        while self.at < self.to {
            let (mut from, mut until) = (self.at, self.to);
            for source in &mut self.sources {
                while source.next_if(|span| span.until <= from).is_some() {}
                let span = source.peek()?;
                from = from.max(span.from);
                until = until.min(span.until);
            }
            if from < until {
                self.at = until;
                return Some(Span { from, until });
            }
            self.at = from;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(seconds: &[(i64, i64)]) -> impl Iterator<Item = Span> {
        let at = |second| Timestamp::from_second(second).unwrap();
        seconds.iter().map(move |(from, until)| Span { from: at(*from), until: at(*until) })
    }

    fn seconds(spans: impl Iterator<Item = Span>) -> Vec<(i64, i64)> {
        spans.map(|span| (span.from.as_second(), span.until.as_second())).collect()
    }

    #[test]
    fn what_touches_becomes_one() {
        assert_eq!(seconds(merged(spans(&[(0, 9), (2, 3), (9, 10), (11, 12)]))), [(0, 10), (11, 12)]);
    }

    #[test]
    fn what_is_between_also_comes_before_and_after() {
        let (start, end) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        assert_eq!(seconds(between(spans(&[(0, 9), (11, 12)]))), [(start, 0), (9, 11), (12, end)]);
        assert_eq!(seconds(between(between(spans(&[])))), []);
    }

    #[test]
    fn everything_must_be_open_at_once() {
        let [from, to] = [0, 100].map(|second| Timestamp::from_second(second).unwrap());
        let mut all = Intersection::within(from, to);
        all.add(spans(&[(-5, 10), (20, 30), (40, 50), (90, 200)]));
        all.add(spans(&[(5, 20), (25, 45)]));
        assert_eq!(seconds(all), [(5, 10), (25, 30), (40, 45)]);
        assert_eq!(seconds(Intersection::within(from, to)), [(0, 100)]);
        assert_eq!(seconds(Intersection::within(to, from)), []);
    }
}
