//! Published folders opened with the ordinary tools: age, zstd, tar, sqlite3, sha256sum.
