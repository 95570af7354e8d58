//! The periods of `hourly`, `daily` and their kin, in a time zone.

use jiff::Zoned;

/// A kind of period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    /// The period of this kind that `at` lies in, by a name that no other period of the kind has.
    pub(super) fn name(self, at: &Zoned) -> String {
        match self {
            // The offset tells the two hours of one name apart when clocks are set back.
            Self::Hour => at.strftime("%Y-%m-%d %H:00 %:z").to_string(),
            Self::Day => at.strftime("%Y-%m-%d").to_string(),
            Self::Week => {
                let week = at.date().iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }
            Self::Month => at.strftime("%Y-%m").to_string(),
            Self::Year => at.strftime("%Y").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(period: Period, zone: &str, times: &[&str]) -> Vec<String> {
        let at = |text: &&str| text.parse::<jiff::Timestamp>().unwrap().in_tz(zone).unwrap();
        times.iter().map(|text| period.name(&at(text))).collect()
    }

    #[test]
    fn a_day_ends_at_midnight_where_the_policy_says() {
        let times = ["2026-11-18T22:59:59Z", "2026-11-18T23:00:00Z"];
        assert_eq!(names(Period::Day, "Europe/Berlin", &times), ["2026-11-18", "2026-11-19"]);
        assert_eq!(names(Period::Day, "UTC", &times), ["2026-11-18", "2026-11-18"]);
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        let times = ["2026-12-31T12:00:00Z", "2027-01-03T12:00:00Z", "2027-01-04T12:00:00Z", "2024-12-30T12:00:00Z"];
        assert_eq!(names(Period::Week, "UTC", &times), ["2026-W53", "2026-W53", "2027-W01", "2025-W01"]);
    }

    #[test]
    fn the_hour_that_occurs_twice_is_two_hours() {
        let times = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"];
        assert_eq!(
            names(Period::Hour, "Europe/Berlin", &times),
            ["2026-10-25 02:00 +02:00", "2026-10-25 02:00 +01:00"]
        );
    }
}
