package tokenizer

import (
	"errors"
	"fmt"
)

// What errors of this package match with errors.Is.
var (
	ErrUnsupported = errors.New("tokenizer: not supported")           // every UnsupportedError
	ErrMetadata    = errors.New("tokenizer: bad vocabulary metadata") // every MetadataError
	ErrTokenID     = errors.New("tokenizer: token id out of range")   // every TokenIDError
	ErrNoToken     = errors.New("tokenizer: text without a token")    // every NoTokenError
	ErrTooLong     = errors.New("tokenizer: text is too long")        // every TooLongError
)

// UnsupportedError names a tokenizer model or pre-tokenizer that this package does not know.
type UnsupportedError struct {
	Key  string // "tokenizer.ggml.model" or "tokenizer.ggml.pre"
	Name string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("tokenizer: %s is %q, which is not supported", e.Key, e.Name)
}

// Is makes e match ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

// MetadataError is a vocabulary that contradicts itself. It matches ErrMetadata and Err, if there is one.
type MetadataError struct {
	Key  string // of the offending value
	Have string
	Want string
	Err  error // of the Metadata that could not deliver Key, or nil
}

func (e *MetadataError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("tokenizer: %s: %v", e.Key, e.Err)
	}
	return fmt.Sprintf("tokenizer: %s: have %s, want %s", e.Key, e.Have, e.Want)
}

// Is makes e match ErrMetadata.
func (e *MetadataError) Is(target error) bool { return target == ErrMetadata }

func (e *MetadataError) Unwrap() error { return e.Err }

// TokenIDError is a token id that the vocabulary does not have.
type TokenIDError struct {
	Index int // position in the ids given, 0 for a single id
	ID    int32
	Size  int // of the vocabulary
}

func (e *TokenIDError) Error() string {
	return fmt.Sprintf("tokenizer: token %d (at index %d) is outside the vocabulary of %d tokens", e.ID, e.Index, e.Size)
}

// Is makes e match ErrTokenID.
func (e *TokenIDError) Is(target error) bool { return target == ErrTokenID }

// NoTokenError is a byte for which an SPM vocabulary has neither a byte token nor an unknown token.
type NoTokenError struct {
	Byte byte
}

func (e *NoTokenError) Error() string {
	return fmt.Sprintf("tokenizer: the vocabulary has no token for byte 0x%02X and no unknown token", e.Byte)
}

// Is makes e match ErrNoToken.
func (e *NoTokenError) Is(target error) bool { return target == ErrNoToken }

// TooLongError is a text of more bytes than one call takes.
type TooLongError struct {
	Len, Max int // in bytes
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("tokenizer: text of %d bytes, at most %d are taken at once", e.Len, e.Max)
}

// Is makes e match ErrTooLong.
func (e *TooLongError) Is(target error) bool { return target == ErrTooLong }
