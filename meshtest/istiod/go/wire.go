package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
)

// channel speaks meshtest's frames: 4 bytes header length, 4 bytes payload length (big endian), a JSON header, a payload.
type channel struct {
	reader *bufio.Reader
	writer *bufio.Writer
}

func newChannel(reader io.Reader, writer io.Writer) *channel {
	return &channel{reader: bufio.NewReaderSize(reader, 1<<16), writer: bufio.NewWriterSize(writer, 1<<16)}
}

// read returns the header of the next frame; requests carry no payload, so one that comes is passed over.
func (c *channel) read() ([]byte, error) {
	var lengths [8]byte
	if _, err := io.ReadFull(c.reader, lengths[:]); err != nil {
		return nil, err
	}
	header := make([]byte, binary.BigEndian.Uint32(lengths[:4]))
	if _, err := io.ReadFull(c.reader, header); err != nil {
		return nil, err
	}
	_, err := c.reader.Discard(int(binary.BigEndian.Uint32(lengths[4:])))
	return header, err
}

func (c *channel) write(header any, payload [][]byte) error {
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	size := 0
	for _, part := range payload {
		size += len(part)
	}
	var lengths [8]byte
	binary.BigEndian.PutUint32(lengths[:4], uint32(len(text)))
	binary.BigEndian.PutUint32(lengths[4:], uint32(size))
	for _, part := range append([][]byte{lengths[:], text}, payload...) {
		if _, err := c.writer.Write(part); err != nil {
			return err
		}
	}
	return c.writer.Flush()
}
