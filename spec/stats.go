package spec

import (
	"slices"
	"time"
)

// Stats counts what a Decoder has done.
type Stats struct {
	Rounds   int   `json:"rounds"`   // of each sequence
	Drafted  int   `json:"drafted"`  // guesses
	Accepted int   `json:"accepted"` // of them
	Tried    []int `json:"tried"`    // by position in the draft: guesses that were reached
	Right    []int `json:"right"`    // of them: those that the target agreed with

	// Time is what the rounds took, shared among the sequences of a round; Drafting is the drafters' part
	// of it. PlainTime is what as many tokens take without guesses, by the plain rounds that were measured;
	// 0 if there was none.
	Time      time.Duration `json:"time"`
	Drafting  time.Duration `json:"drafting"`
	PlainTime time.Duration `json:"plainTime"`

	// Copied is how many bytes a mirror of the target's cache took, for the draft to read.
	Copied int64 `json:"copied,omitempty"`

	// Failed names the drafters that failed and were left out.
	Failed []string `json:"failed,omitempty"`
}

// count adds a round.
func (s *Stats) count(drafted, accepted int) {
	s.Rounds++
	s.Drafted += drafted
	s.Accepted += accepted
	for i := range drafted {
		if i == len(s.Tried) {
			s.Tried, s.Right = append(s.Tried, 0), append(s.Right, 0)
		}
		if i > accepted {
			break
		}
		s.Tried[i]++
		if i < accepted {
			s.Right[i]++
		}
	}
}

// Tokens returns how many tokens the rounds gave.
func (s *Stats) Tokens() int { return s.Rounds + s.Accepted }

// TokensPerStep returns the tokens that a round gives on average, or 0 before the first.
func (s *Stats) TokensPerStep() float64 { return ratio(float64(s.Tokens()), float64(s.Rounds)) }

// CopiedPerStep returns the bytes that a round copies into a mirror on average.
func (s *Stats) CopiedPerStep() float64 { return ratio(float64(s.Copied), float64(s.Rounds)) }

// Acceptance returns the share of guesses at a position that were right, among those that were reached;
// 0 where none was.
func (s *Stats) Acceptance(position int) float64 {
	if position >= len(s.Tried) {
		return 0
	}
	return ratio(float64(s.Right[position]), float64(s.Tried[position]))
}

// SpeedUp returns how many times as fast as plain decoding the rounds were; 0 if that was not measured.
func (s *Stats) SpeedUp() float64 { return ratio(s.PlainTime.Seconds(), s.Time.Seconds()) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func (s *Stats) clone() Stats {
	c := *s
	c.Tried, c.Right, c.Failed = slices.Clone(s.Tried), slices.Clone(s.Right), slices.Clone(s.Failed)
	return c
}
