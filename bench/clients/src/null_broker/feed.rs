//! Bytes from a client, frame by frame: read where they matter, discarded where they don't.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, recv};

use super::malformed;

/// What is read at a time. Little, as what is read ahead of a batch is copied in vain.
const AHEAD: usize = 16 << 10;
/// What is discarded at a time.
const DISCARDED: usize = 1 << 20;

/// A connection's bytes.
pub(super) struct Feed {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    /// Bytes of the present frame that were not taken yet.
    left: usize,
    /// Named when bytes are discarded, but never written to.
    void: Vec<u8>,
}

impl Feed {
    pub(super) fn new(stream: TcpStream) -> Feed {
        Feed { stream, buffer: vec![0; AHEAD], at: 0, end: 0, left: 4, void: vec![0; DISCARDED] }
    }

    /// Says how long the frame is that comes now.
    pub(super) fn begin_frame(&mut self, length: i32) -> io::Result<()> {
        self.left = usize::try_from(length).map_err(|_| malformed("a negative length"))?;
        Ok(())
    }

    /// The frame ends here, and a length comes next.
    pub(super) fn end_frame(&mut self) -> io::Result<()> {
        self.skip(self.left)?;
        self.left = 4;
        Ok(())
    }

    pub(super) fn rest_of_frame(&mut self) -> io::Result<Vec<u8>> {
        let rest = self.take(self.left)?.to_vec();
        self.left = 4;
        Ok(rest)
    }

    /// The next bytes.
    pub(super) fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        self.left = self.left.checked_sub(count).ok_or_else(|| malformed("too little in it"))?;
        if self.end - self.at < count {
            self.fill(count)?;
        }
        self.at += count;
        Ok(&self.buffer[self.at - count..self.at])
    }

    pub(super) fn short(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn int(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub(super) fn unsigned_varint(&mut self) -> io::Result<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("an endless number"))
    }

    /// Passes over tagged fields.
    pub(super) fn skip_tags(&mut self) -> io::Result<()> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let length = self.unsigned_varint()?;
            self.skip(length as usize)?;
        }
        Ok(())
    }

    /// Passes over bytes; those that were not read yet leave the kernel without being copied.
    pub(super) fn skip(&mut self, count: usize) -> io::Result<()> {
        self.left = self.left.checked_sub(count).ok_or_else(|| malformed("too little in it"))?;
        let buffered = count.min(self.end - self.at);
        self.at += buffered;
        let mut missing = count - buffered;
        while missing > 0 {
            let chunk = missing.min(DISCARDED);
            // On TCP, MSG_TRUNC drops the bytes and leaves the buffer alone.
            let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_WAITALL;
            match recv(self.stream.as_raw_fd(), &mut self.void[..chunk], flags) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(dropped) => missing -= dropped,
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads until so many bytes are there.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        use std::io::Read;
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        if self.buffer.len() < count {
            self.buffer.resize(count, 0);
        }
        while self.end < count {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
