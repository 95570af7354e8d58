//! A sample database for those who want to see it work before they trust it with theirs.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};

/// A little shop. `n` counts rows; `r` is a number that looks random and is the same every time.
const SHOP: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT UNIQUE NOT NULL, country TEXT, since TEXT);
CREATE TABLE product (id INTEGER PRIMARY KEY, sku TEXT UNIQUE NOT NULL, title TEXT, price REAL, picture BLOB);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer, placed_at TEXT, status TEXT, total REAL, note TEXT);
CREATE TABLE order_line (order_id INTEGER, line INTEGER, product_id INTEGER, quantity INTEGER, price REAL, PRIMARY KEY (order_id, line)) WITHOUT ROWID;
CREATE TABLE event (id INTEGER PRIMARY KEY, at TEXT, kind TEXT, payload TEXT);
BEGIN;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 20000)
INSERT INTO customer SELECT n, 'Customer ' || (n * 7919 % 10007), 'user' || n || '@example.org', substr('DEFRGBUSJPBR', 1 + n * 31 % 6 * 2, 2),
  date('2020-01-01', '+' || (n * 13 % 2000) || ' days') FROM t;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3000)
INSERT INTO product SELECT n, printf('SKU-%08d', n), 'Product ' || (n * 104729 % 9973), (n * 37 % 50000) / 100.0, randomblob(700) FROM t;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 120000)
INSERT INTO orders SELECT n, 1 + n * 7919 % 20000, datetime('2022-01-01', '+' || (n * 17) || ' minutes'),
  CASE n % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' WHEN 2 THEN 'shipped' ELSE 'done' END, (n * 131 % 90000) / 100.0,
  CASE WHEN n % 3 = 0 THEN 'please leave parcel ' || (n * 31 % 997) || ' with the neighbour at number ' || (n % 200) END FROM t;
WITH RECURSIVE t(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < 359999)
INSERT INTO order_line SELECT 1 + n / 3, 1 + n % 3, 1 + n * 104729 % 3000, 1 + n % 5, (n * 29 % 30000) / 100.0 FROM t;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 200000)
INSERT INTO event SELECT n, datetime('2025-01-01', '+' || (n * 9) || ' seconds'), CASE n % 3 WHEN 0 THEN 'view' WHEN 1 THEN 'cart' ELSE 'search' END,
  json_object('ip', '10.' || (n * 7 % 255) || '.' || (n * 13 % 255) || '.7', 'ms', n * 31 % 2000, 'path', '/p/' || (n * 7919 % 50000), 'session', printf('%016x', n * 2654435761 % 4294967296)) FROM t;
COMMIT;
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX event_at ON event (at);
CREATE VIEW revenue AS SELECT date(placed_at) AS day, sum(total) AS total FROM orders GROUP BY 1;
";

/// Makes the sample database, some 50 MB, in `path`, which must not exist.
///
/// # Errors
/// It cannot be written.
pub fn make(path: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let made = Connection::open_with_flags(path, flags).and_then(|db| db.execute_batch(SHOP));
    made.map_err(|e| Error::failed(format!("cannot make the sample database {}", path.display())).because(e))
}
