//! The days on which a schedule is due. A month is looked at as a whole, so that a rare day is found without a walk through years.

use std::collections::BTreeSet;
use std::sync::Arc;

use croner::{CronPattern, Weekday};
use jiff::civil::Date;

use super::fields::{DAY, MONTH, YEAR};

/// So many years are looked through for a day. The rarest one is the 29th of February on a certain weekday: it comes every 28 years,
/// or 40 where a century without a leap year lies between.
const LONGEST_WAIT: i16 = 41;

const ALL_DAYS: u64 = (1 << 31) - 1;
const ALL_WEEKDAYS: u64 = 0x7f;

/// Days: of these months of these years, those that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days {
    /// Not given: every year.
    years: Option<BTreeSet<i16>>,
    /// January is the lowest bit.
    months: u64,
    fit: Fit,
}

/// Which days of a month fit.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fit {
    /// These dates (the first is the lowest bit), where they are one of these weekdays (Monday is the lowest bit).
    Dates { days: u64, from_end: bool, weekdays: u64 },
    /// What cron says of the day of the month and of the week.
    Cron(Arc<CronPattern>),
}

impl Days {
    /// Every day.
    pub(super) fn every() -> Self {
        Self::dates(ALL_DAYS)
    }

    /// Every day that is one of these weekdays, Monday the lowest bit.
    pub(super) fn on(mut self, wanted: u64) -> Self {
        if let Fit::Dates { weekdays, .. } = &mut self.fit {
            *weekdays &= wanted;
        }
        self
    }

    /// These days of every month.
    pub(super) fn dates(days: u64) -> Self {
        Self { years: None, months: u64::MAX, fit: Fit::Dates { days, from_end: false, weekdays: ALL_WEEKDAYS } }
    }

    /// The days of every month that a pattern of cron names.
    pub(super) fn cron(pattern: CronPattern) -> Self {
        Self { years: None, months: u64::MAX, fit: Fit::Cron(Arc::new(pattern)) }
    }

    /// Those of them that are in these months, January the lowest bit.
    pub(super) fn in_months(self, months: u64) -> Self {
        Self { months, ..self }
    }

    /// Reads `YYYY-MM-DD` or `MM-DD`, with `~` before a day that counts from the end of the month.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no time and no date: write `02:00`, or a date like `*-*-01`");
        let from_end = text.contains('~');
        let (front, day) = text.rsplit_once(if from_end { '~' } else { '-' }).ok_or_else(bad)?;
        let (year, month) = match front.split_once('-') {
            Some((year, month)) => (year, month),
            None => ("*", front),
        };
        let years = match year {
            "*" => None,
            year => Some(YEAR.values(year, "..")?.into_iter().filter_map(|year| i16::try_from(year).ok()).collect()),
        };
        let months = MONTH.read(month, "..")?;
        let days = if from_end { DAY.read_from_end(day) } else { DAY.read(day, "..") }?;
        Ok(Self { years, months, fit: Fit::Dates { days, from_end, weekdays: ALL_WEEKDAYS } })
    }

    /// Whether every day, or every one of some weekdays, fits in every month.
    pub(super) fn are_weekly(&self) -> bool {
        let any_date = matches!(self.fit, Fit::Dates { days: ALL_DAYS, .. });
        self.years.is_none() && self.months & 0xfff == 0xfff && any_date
    }

    /// The first of these days at or after a date.
    pub(super) fn next(&self, from: Date) -> Option<Date> {
        let last = match &self.years {
            Some(years) => *years.last()?,
            None => from.year().saturating_add(LONGEST_WAIT).min(Date::MAX.year()),
        };
        for year in (from.year()..=last).filter(|year| self.has_year(*year)) {
            let first = if year == from.year() { from.month() } else { 1 };
            for month in (first..=12).filter(|month| self.months >> (month - 1) & 1 == 1) {
                let begins = if (year, month) == (from.year(), from.month()) { from.day() - 1 } else { 0 };
                let fit = self.of_month(year, month) & (u64::MAX << begins);
                if fit != 0 {
                    return date(year, month, fit.trailing_zeros() + 1);
                }
            }
        }
        None
    }

    /// The last of these days at or before a date.
    pub(super) fn previous(&self, until: Date) -> Option<Date> {
        let first = match &self.years {
            Some(years) => *years.first()?,
            None => until.year().saturating_sub(LONGEST_WAIT).max(Date::MIN.year()),
        };
        for year in (first..=until.year()).rev().filter(|year| self.has_year(*year)) {
            let last = if year == until.year() { until.month() } else { 12 };
            for month in (1..=last).rev().filter(|month| self.months >> (month - 1) & 1 == 1) {
                let ends = if (year, month) == (until.year(), until.month()) { until.day() } else { 31 };
                let fit = self.of_month(year, month) & (u64::MAX >> (64 - ends));
                if fit != 0 {
                    return date(year, month, 64 - fit.leading_zeros());
                }
            }
        }
        None
    }

    fn has_year(&self, year: i16) -> bool {
        self.years.as_ref().is_none_or(|years| years.contains(&year))
    }

    /// Which days of a month fit; the first is the lowest bit.
    fn of_month(&self, year: i16, month: i8) -> u64 {
        let Ok(first) = Date::new(year, month, 1) else { return 0 };
        let length = first.days_in_month() as u32;
        let weekday = first.weekday().to_monday_zero_offset() as u32;
        let which =
            |fits: &dyn Fn(u32) -> bool| (0..length).filter(|day| fits(*day)).fold(0, |bits, day| bits | 1 << day);
        match &self.fit {
            Fit::Dates { days, from_end, weekdays } => {
                // The end of the month is the lowest bit of days that count from it.
                let days = if *from_end { days.reverse_bits() >> (64 - length) } else { *days };
                let days = days & (u64::MAX >> (64 - length));
                if *weekdays == ALL_WEEKDAYS {
                    days
                } else {
                    days & which(&|day| weekdays >> ((weekday + day) % 7) & 1 == 1)
                }
            }
            Fit::Cron(pattern) => which(&|day| {
                let weekday = Weekday::from_days_from_sunday(weekday + 1 + day);
                pattern.day_match(year.into(), month as u32, day + 1, weekday).unwrap_or(false)
            }),
        }
    }
}

fn date(year: i16, month: i8, day: u32) -> Option<Date> {
    Date::new(year, month, i8::try_from(day).ok()?).ok()
}
