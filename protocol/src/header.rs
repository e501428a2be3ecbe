//! Frames: a header, then a body. (The `int32` length before a frame belongs to the connection.)
//!
//! Sources: RequestHeader.json and ResponseHeader.json; KIP-482 (header versions), KIP-511 (ApiVersions exception).

use alloc::borrow::ToOwned;
use alloc::string::String;

use bytes::Bytes;

use crate::api::{Api, Request, Response};
use crate::wire::{DecodeError, EncodeError, Field, Frame, Reader, Row, Step, UnknownTags, Writer};

/// What stands before every request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API's key.
    pub request_api_key: i16,
    /// The version of the body.
    pub request_api_version: i16,
    /// A number of the client's own that the response repeats.
    pub correlation_id: i32,
    /// The client's `client.id`.
    pub client_id: Option<String>,
    /// Tagged fields, from header version 2 on.
    pub unknown_tags: UnknownTags,
}

impl RequestHeader {
    /// Reads a header of version 1 or 2.
    ///
    /// # Errors
    /// Whatever is malformed.
    pub fn read(reader: &mut Reader<'_>, header_version: i16) -> Result<Self, DecodeError> {
        let mut header = RequestHeader::default();
        match header.read_fields(reader, header_version) {
            Ok(()) => Ok(header),
            Err(stopped) => Err(reader.reason(stopped)),
        }
    }

    fn read_fields(&mut self, reader: &mut Reader<'_>, header_version: i16) -> Step {
        reader.at(&const { Row::plain("RequestHeader", "header") });
        self.request_api_key.read(reader)?;
        self.request_api_version.read(reader)?;
        self.correlation_id.read(reader)?;
        // Never compact, in no header version, so that a broker can read it before it knows the version.
        reader.in_form(false, |reader| self.client_id.read(reader))?;
        if header_version >= 2 {
            reader.unknown_tags(&mut self.unknown_tags)?;
        }
        Ok(())
    }

    /// Writes the header in version 1 or 2.
    ///
    /// # Errors
    /// A `client_id` that is too long.
    pub fn write(&self, writer: &mut Writer, header_version: i16) -> Result<(), EncodeError> {
        writer.at(&const { Row::plain("RequestHeader", "client_id") });
        // A header is written as it was read, even for a version that can't be.
        writer.switch(self.request_api_version.max(0), false);
        self.write_fields(writer).map_err(|stopped| writer.reason(stopped))?;
        write_header_tags(writer, &self.unknown_tags, header_version >= 2);
        Ok(())
    }

    fn write_fields(&self, writer: &mut Writer) -> Step {
        self.request_api_key.write(writer)?;
        self.request_api_version.write(writer)?;
        self.correlation_id.write(writer)?;
        self.client_id.write(writer)
    }
}

/// What stands before every response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's number.
    pub correlation_id: i32,
    /// Tagged fields, from header version 1 on.
    pub unknown_tags: UnknownTags,
}

impl ResponseHeader {
    /// Reads a header of version 0 or 1.
    ///
    /// # Errors
    /// Whatever is malformed.
    pub fn read(reader: &mut Reader<'_>, header_version: i16) -> Result<Self, DecodeError> {
        let mut header = ResponseHeader::default();
        match header.read_fields(reader, header_version) {
            Ok(()) => Ok(header),
            Err(stopped) => Err(reader.reason(stopped)),
        }
    }

    fn read_fields(&mut self, reader: &mut Reader<'_>, header_version: i16) -> Step {
        reader.at(&const { Row::plain("ResponseHeader", "header") });
        self.correlation_id.read(reader)?;
        if header_version >= 1 {
            reader.unknown_tags(&mut self.unknown_tags)?;
        }
        Ok(())
    }

    /// Writes the header in version 0 or 1.
    ///
    /// # Errors
    /// None today; the signature is that of every writer.
    pub fn write(&self, writer: &mut Writer, header_version: i16) -> Result<(), EncodeError> {
        self.correlation_id.write(writer).map_err(|stopped| writer.reason(stopped))?;
        write_header_tags(writer, &self.unknown_tags, header_version >= 1);
        Ok(())
    }
}

fn write_header_tags(writer: &mut Writer, tags: &UnknownTags, flexible: bool) {
    if flexible {
        writer.unknown_tags(tags);
    }
}

/// Encodes a request with its header.
///
/// # Errors
/// A field that `version` can't express.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Frame, EncodeError> {
    let mut writer = Writer::new(version, false);
    RequestHeader {
        request_api_key: R::API.key.0,
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(str::to_owned),
        unknown_tags: UnknownTags::default(),
    }
    .write(&mut writer, R::API.request_header_version(version))?;
    writer.switch(version, R::API.flexible(version));
    writer.message(request)?;
    writer.finish()
}

/// Encodes a response with its header.
///
/// # Errors
/// A field that `version` can't express.
pub fn encode_response<R: Response>(
    response: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Frame, EncodeError> {
    let api = R::Request::API;
    let mut writer = Writer::new(version, false);
    ResponseHeader { correlation_id, unknown_tags: UnknownTags::default() }
        .write(&mut writer, api.response_header_version(version))?;
    writer.switch(version, api.flexible(version));
    writer.message(response)?;
    writer.finish()
}

/// Decodes the frame of a response to a request of `api` in `version`, up to its body.
///
/// # Errors
/// A malformed header.
pub fn split_response(frame: &Bytes, api: Api, version: i16) -> Result<(ResponseHeader, Bytes), DecodeError> {
    let mut reader = Reader::new(frame, version, false);
    let header = ResponseHeader::read(&mut reader, api.response_header_version(version))?;
    let offset = reader.offset();
    Ok((header, frame.slice(offset..)))
}

/// Decodes the body of a response.
///
/// # Errors
/// Whatever is malformed, bytes left over included.
pub fn decode_response<R: Request>(body: &Bytes, version: i16) -> Result<R::Response, DecodeError> {
    crate::wire::decode(body, version, R::API.flexible(version))
}

/// Decodes the body of a request.
///
/// # Errors
/// Whatever is malformed, bytes left over included.
pub fn decode_request<R: Request>(body: &Bytes, version: i16) -> Result<R, DecodeError> {
    crate::wire::decode(body, version, R::API.flexible(version))
}
