//! The stream between two parts of a run: a bounded queue of large blocks with an explicit end.
//!
//! A stream is complete only when its [`Outlet`] said [`Outlet::end`]. An outlet that is dropped without it leaves a *broken*
//! stream, and every part behind it stops without finishing: so no zstd frame, no age file and no object at a destination
//! is ever closed over half a dump. Both ends work from threads (`send`, `next`, `Read`, `Write`) and from tasks
//! (`send_async`, `next_async`).

use std::{fmt, io};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

use super::blocks::{BLOCK, Blocks};
use crate::error::{Error, Result};

/// How many blocks wait in one queue at most. A queue holds at most `BLOCK * DEPTH` bytes when its writer keeps to `BLOCK`.
pub const DEPTH: usize = 4;

enum Flow {
    Block(Bytes),
    End,
}

/// The end of a stream that takes blocks.
#[derive(Debug)]
pub struct Outlet {
    queue: mpsc::Sender<Flow>,
    /// What was written through [`io::Write`] and does not fill a block yet.
    pending: BytesMut,
    blocks: Blocks,
}

/// Sees every block that is taken out of an inlet.
type Tap = Box<dyn FnMut(&Bytes) + Send>;

/// The end of a stream that gives blocks.
pub struct Inlet {
    queue: mpsc::Receiver<Flow>,
    /// The rest of the block that [`io::Read`] is in the middle of.
    current: Bytes,
    ended: bool,
    taps: Vec<Tap>,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// A new stream, [`DEPTH`] blocks deep.
pub fn pipe() -> (Outlet, Inlet) {
    let (sender, receiver) = mpsc::channel(DEPTH);
    let outlet = Outlet { queue: sender, pending: BytesMut::new(), blocks: Blocks::default() };
    (outlet, Inlet { queue: receiver, current: Bytes::new(), ended: false, taps: Vec::new() })
}

impl Outlet {
    /// Hands on one block, waiting for room. From threads only.
    ///
    /// # Errors
    /// [`Kind::Consequence`](crate::error::Kind::Consequence) when nobody reads any more.
    pub fn send(&mut self, block: Bytes) -> Result<()> {
        self.flush_pending()?;
        self.push(block)
    }

    /// Hands on one block, waiting for room. From tasks.
    ///
    /// # Errors
    /// As [`Outlet::send`].
    pub async fn send_async(&mut self, block: Bytes) -> Result<()> {
        let pending = self.take_pending();
        for part in [pending, block] {
            if !part.is_empty() {
                self.queue.send(Flow::Block(part)).await.map_err(|_| Error::consequence())?;
            }
        }
        Ok(())
    }

    /// Says that the stream is complete. From threads only.
    ///
    /// # Errors
    /// As [`Outlet::send`].
    pub fn end(mut self) -> Result<()> {
        self.flush_pending()?;
        self.queue.blocking_send(Flow::End).map_err(|_| Error::consequence())
    }

    /// Says that the stream is complete. From tasks.
    ///
    /// # Errors
    /// As [`Outlet::send`].
    pub async fn end_async(mut self) -> Result<()> {
        self.send_async(Bytes::new()).await?;
        self.queue.send(Flow::End).await.map_err(|_| Error::consequence())
    }

    fn take_pending(&mut self) -> Bytes {
        let pending = std::mem::take(&mut self.pending);
        self.blocks.lend(pending)
    }

    fn flush_pending(&mut self) -> Result<()> {
        let pending = self.take_pending();
        self.push(pending)
    }

    fn push(&mut self, block: Bytes) -> Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        self.queue.blocking_send(Flow::Block(block)).map_err(|_| Error::consequence())
    }
}

impl io::Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.capacity() == 0 {
            self.pending = self.blocks.take();
        }
        let room = BLOCK - self.pending.len();
        let taken = room.min(bytes.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        if self.pending.len() == BLOCK {
            self.flush_pending()?;
        }
        Ok(taken)
    }

    /// Does nothing: a block goes when it is full, and the last one with [`Outlet::end`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Inlet {
    /// Has `tap` see every block on its way out, after those that do already, in the thread or task that takes it.
    #[must_use]
    pub fn tapped(mut self, tap: impl FnMut(&Bytes) + Send + 'static) -> Self {
        self.taps.push(Box::new(tap));
        self
    }

    /// The next block, or `None` after a proper end. From threads only.
    ///
    /// # Errors
    /// [`Kind::Consequence`](crate::error::Kind::Consequence) when the stream broke off.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error; a broken stream is over"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(rest) = self.rest() {
            return Ok(Some(rest));
        }
        if self.ended {
            return Ok(None);
        }
        let flow = self.queue.blocking_recv();
        self.take(flow)
    }

    /// The next block, or `None` after a proper end. From tasks.
    ///
    /// # Errors
    /// As [`Inlet::next`].
    pub async fn next_async(&mut self) -> Result<Option<Bytes>> {
        if let Some(rest) = self.rest() {
            return Ok(Some(rest));
        }
        if self.ended {
            return Ok(None);
        }
        let flow = self.queue.recv().await;
        self.take(flow)
    }

    fn rest(&mut self) -> Option<Bytes> {
        (!self.current.is_empty()).then(|| std::mem::take(&mut self.current))
    }

    fn take(&mut self, flow: Option<Flow>) -> Result<Option<Bytes>> {
        match flow {
            Some(Flow::Block(block)) => {
                self.taps.iter_mut().for_each(|tap| tap(&block));
                Ok(Some(block))
            }
            Some(Flow::End) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(Error::consequence()),
        }
    }
}

impl io::Read for Inlet {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            match self.next()? {
                Some(block) => self.current = block,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(into.len());
        self.current.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_ends() {
        let (mut outlet, mut inlet) = pipe();
        let sent: Vec<u8> = (0..3 * BLOCK + 7).map(|i| i as u8).collect();
        let expected = sent.clone();
        let writer = std::thread::spawn(move || {
            outlet.write_all(&sent).unwrap();
            outlet.end().unwrap();
        });
        let mut got = Vec::new();
        inlet.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert!(got == expected);
    }

    #[test]
    fn a_dropped_outlet_is_a_broken_stream_not_a_short_one() {
        let (mut outlet, mut inlet) = pipe();
        outlet.send(Bytes::from_static(b"half")).unwrap();
        drop(outlet);
        assert_eq!(inlet.next().unwrap().as_deref(), Some(&b"half"[..]));
        assert!(inlet.next().unwrap_err().is_consequence());
        let mut rest = Vec::new();
        assert!(inlet.read_to_end(&mut rest).is_err());
    }

    #[test]
    fn a_dropped_inlet_stops_the_writer() {
        let (mut outlet, inlet) = pipe();
        drop(inlet);
        assert!(outlet.send(Bytes::from_static(b"x")).unwrap_err().is_consequence());
        assert!(outlet.end().unwrap_err().is_consequence());
    }

    #[test]
    fn every_tap_sees_every_block_once_however_it_is_taken() {
        let (mut outlet, inlet) = pipe();
        let seen: [std::sync::Arc<std::sync::atomic::AtomicUsize>; 2] = Default::default();
        let count = |n: usize| {
            let seen = std::sync::Arc::clone(&seen[n]);
            move |block: &Bytes| {
                seen.fetch_add(block.len(), std::sync::atomic::Ordering::Relaxed);
            }
        };
        let mut inlet = inlet.tapped(count(0)).tapped(count(1));
        outlet.send(Bytes::from_static(b"one")).unwrap();
        outlet.send(Bytes::from_static(b"three")).unwrap();
        outlet.end().unwrap();
        let mut first = [0; 2];
        inlet.read_exact(&mut first).unwrap();
        while inlet.next().unwrap().is_some() {}
        assert_eq!(seen.map(|n| n.load(std::sync::atomic::Ordering::Relaxed)), [8, 8]);
    }
}
