//! `bench hot`: what one product in every order costs. Uniform rounds and hot ones in turns, in one
//! run, without HTTP and over it; the ratio is taken of neighbours, so that what else goes on on the
//! machine is in both.

use super::{
    engine::Engine,
    http::Served,
    plan::{Hot, Timed},
    report::{Figures, Report, Round, median},
    scratch,
};
use serde_json::json;
use std::time::Duration;

/// What is placed before the counted rounds.
const FIRST: Duration = Duration::from_secs(1);

/// Rounds of both kinds, pairwise.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    uniform: Vec<Round>,
    hot: Vec<Round>,
}

/// Runs the scenario and verifies what it left.
///
/// # Errors
/// What could not be run.
pub(crate) fn run(plan: &Hot) -> anyhow::Result<Report> {
    let mut report = Report { verified: true, ..Report::default() };
    let dir = scratch::Dir::new(&plan.timed.run.dir)?;

    let data = dir.path().join("engine");
    let engine = Engine::open(&data, plan.crowd.into(), None)?;
    engine.populate()?;
    let pairs = pairs(&plan.timed, |hot, length| engine.round(hot, length));
    engine.close()?;
    pairs?.tell("engine", &mut report);
    report.verified &= scratch::verify(&data)?.is_green;

    let data = dir.path().join("http");
    let mut served = Served::start(&data, plan.crowd, None)?;
    served.populate()?;
    let pairs = self::pairs(&plan.timed, |hot, length| served.round(hot, length));
    served.stop()?;
    pairs?.tell("http", &mut report);
    report.verified &= scratch::verify(&data)?.is_green;
    Ok(report)
}

/// Which kind comes first changes from pair to pair: neither is always the one after the other.
pub(crate) fn pairs(
    timed: &Timed,
    mut round: impl FnMut(bool, Duration) -> anyhow::Result<Round>,
) -> anyhow::Result<Pairs> {
    round(false, FIRST)?;
    round(true, FIRST)?;
    let length = timed.seconds;
    let mut pairs = Pairs::default();
    for number in 0..timed.run.rounds {
        let hot_first = number % 2 == 1;
        for hot in [hot_first, !hot_first] {
            let rounds = if hot { &mut pairs.hot } else { &mut pairs.uniform };
            rounds.push(round(hot, length)?);
        }
    }
    Ok(pairs)
}

impl Pairs {
    /// Hot orders a second for each uniform one, pair by pair.
    fn ratios(&self) -> Vec<f64> {
        let pairs = self.hot.iter().zip(&self.uniform);
        pairs.map(|(hot, uniform)| hot.per_second() / uniform.per_second().max(1.0)).collect()
    }

    /// Adds both kinds and their ratio.
    pub(crate) fn tell(&self, name: &str, report: &mut Report) {
        let (ratios, uniform, hot) =
            (self.ratios(), Figures::of(&self.uniform), Figures::of(&self.hot));
        let ratio = median(ratios.iter().copied());
        report.text.extend(uniform.lines(&format!("{name}, uniform")));
        report.text.extend(hot.lines(&format!("{name}, hot")));
        let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        report.say(format!("{name}: hot / uniform {ratio:.2} (of each pair: {})", each.join(", ")));
        let figures = json!({"ratio": ratio, "ratios": ratios, "uniform": uniform, "hot": hot});
        report.put(name, figures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_neighbours() {
        let round = |orders| Round { orders, seconds: 1.0, ..Round::default() };
        // The machine gets faster and faster: only neighbours can be compared.
        let pairs = Pairs {
            uniform: vec![round(100), round(200), round(400)],
            hot: vec![round(90), round(190), round(200)],
        };
        assert_eq!(pairs.ratios(), [0.9, 0.95, 0.5]);
        let mut report = Report::default();
        pairs.tell("engine", &mut report);
        assert_eq!(report.json["engine"]["ratio"], 0.9);
        let last = report.text.last().expect("lines");
        assert_eq!(last, "engine: hot / uniform 0.90 (of each pair: 0.90, 0.95, 0.50)");
    }
}
