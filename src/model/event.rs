//! What happens, each with its word and the id that the journal knows it by: what somebody may want to be told (the words of a
//! policy's `notify`), and what only the journal is told.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::run::words;

words! {
    /// What somebody may want to be told.
    Event {
        /// A run failed, and its retries with it.
        Failed = "failed",
        /// A run succeeded after one that failed, or after too long without any.
        Recovered = "recovered",
        /// A database was paused after failures.
        Paused = "paused",
        /// There was no success for too long.
        Stale = "stale",
        /// A copy failed.
        CopyFailed = "copy-failed",
        /// Another server or replica was dumped than before.
        SourceChanged = "source-changed",
        /// A backup is much smaller than the ones before.
        SuspiciousSize = "suspicious-size",
        /// A destination has little space left.
        LowSpace = "low-space",
        /// An edit of the configuration was refused.
        ConfigRejected = "config-rejected",
        /// The log has a gap.
        LogGap = "log-gap",
        /// A drill failed.
        DrillFailed = "drill-failed",
        /// How the week was.
        WeeklySummary = "weekly-summary",
        /// A run succeeded.
        Succeeded = "succeeded",
    }
}

words! {
    /// What only the journal is told: nobody can ask to be notified of it.
    Moment {
        /// The daemon works.
        DaemonStarted = "daemon-started",
        /// The daemon was asked to end.
        DaemonStopping = "daemon-stopping",
        /// An edit of the configuration is in use.
        ConfigAccepted = "config-accepted",
        /// The files ask for something that is not done.
        ConfigWarning = "config-warning",
        /// Somebody did something, besides asking for a run.
        Action = "action",
        /// A backup was deleted: no rule keeps it, or somebody asked for it.
        Deleted = "deleted",
        /// Backups that should go stay.
        NotDeleted = "not-deleted",
        /// Something beside the work of a run went wrong.
        RunWarning = "run-warning",
        /// An edit ended a pause by failures.
        PauseEnded = "pause-ended",
        /// A destination has room again.
        SpaceAgain = "space-again",
        /// A notifier cannot deliver.
        NotifierFails = "notifier-fails",
        /// A notifier that failed delivers again.
        NotifierWorks = "notifier-works",
        /// A part of the daemon died of a defect and is started again.
        PartRestarted = "part-restarted",
        /// The history was damaged and is begun anew.
        HistoryDamaged = "history-damaged",
        /// A run started.
        RunStarted = "run-started",
        /// An attempt failed, and there will be another.
        RunAgain = "run-again",
        /// A crash, a signal or an operator ended a run.
        RunInterrupted = "run-interrupted",
        /// A hook vetoed a run, or another one made it unnecessary.
        RunRefused = "run-refused",
    }
}

// The ids are a promise: packaging/catalog/qbackd.catalog explains each, and people filter by them (`journalctl MESSAGE_ID=…`).

impl Event {
    /// The `MESSAGE_ID` of the journal (systemd.journal-fields(7)).
    pub fn message_id(self) -> &'static str {
        match self {
            Self::Failed => "1c9a05240955487dbaf934e6658f57d0",
            Self::Recovered => "b1365c010f4843eabfe2cbcf7561c371",
            Self::Paused => "0a77027261da40ae81d0aef0e31e1e8b",
            Self::Stale => "3142e3225e2548adbf3d7f2b1ddb92d5",
            Self::CopyFailed => "1d7228d3f17340a4872dd2c34c263c61",
            Self::SourceChanged => "ffdd26c8888f4c8eb69db337cb119457",
            Self::SuspiciousSize => "3484371afaaa4e4380334e95572fd9ae",
            Self::LowSpace => "e1389b40169b42dba012dd58c08816e1",
            Self::ConfigRejected => "f6f43e41ad4a4b37a8207d4d6d557efd",
            Self::LogGap => "6536b2293d6c45af8b78962229346ce6",
            Self::DrillFailed => "4e178ef3d418425da796bcebfc6a6ba8",
            Self::WeeklySummary => "063ccba50f9845e4b174e6e07457587f",
            Self::Succeeded => "2a228578477647c4aedf499fa5e223a7",
        }
    }
}

impl Moment {
    /// The `MESSAGE_ID` of the journal (systemd.journal-fields(7)).
    pub fn message_id(self) -> &'static str {
        match self {
            Self::DaemonStarted => "0ed1731cd1004411afee57653d01349e",
            Self::DaemonStopping => "8c0ea139ad7249a5873811509ba20494",
            Self::ConfigAccepted => "55f9740722c64077a8f8e3423d08cca1",
            Self::ConfigWarning => "ded6a8e73ef940f5a5c9f61c025ca71c",
            Self::Action => "28228fb179f347849587d3aeb71f69d9",
            Self::Deleted => "361159dc82f14f37baf06d1442a62984",
            Self::NotDeleted => "e97275d881c849778779ad7752867cff",
            Self::RunWarning => "bb5a56c2614f4afdb267b2ad55d7fedb",
            Self::PauseEnded => "16de5f53864047f8af3b6e725cd87f7f",
            Self::SpaceAgain => "a8e197cd15164cdea7d8c958ea15fa26",
            Self::NotifierFails => "b2ae8552514f4a608f351c3c715a818e",
            Self::NotifierWorks => "f4dc6a6b16da4e8ca22cf22c50a2f107",
            Self::PartRestarted => "01ce31d0a83b4f4b9e5e7a51f50a976b",
            Self::HistoryDamaged => "17d2c26071c14421ae1fe3fb0dd22a56",
            Self::RunStarted => "9927cddbb9d14330aa3eae5babe51e85",
            Self::RunAgain => "84f16a7219be448995bcf88a9899fd31",
            Self::RunInterrupted => "da531e7b0f754aa9bdb55824db1ba683",
            Self::RunRefused => "ffe860afdc6e464cadb4c6eddcefb12f",
        }
    }
}
