package spec

import "slices"

// Stats counts what a Decoder has done.
type Stats struct {
	Rounds   int
	Drafted  int   // guesses
	Accepted int   // of them
	Tried    []int // by position in the draft: guesses that were reached
	Right    []int // of them: those that the target agreed with
	Failed   []string
}

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

// TokensPerStep returns the tokens that a round gives on average, or 0 before the first.
func (s *Stats) TokensPerStep() float64 {
	if s.Rounds == 0 {
		return 0
	}
	return float64(s.Rounds+s.Accepted) / float64(s.Rounds)
}

// Acceptance returns the share of guesses at a position that were right, among those that were reached;
// 0 where none was.
func (s *Stats) Acceptance(position int) float64 {
	if position >= len(s.Tried) || s.Tried[position] == 0 {
		return 0
	}
	return float64(s.Right[position]) / float64(s.Tried[position])
}

func (s *Stats) clone() Stats {
	c := *s
	c.Tried, c.Right, c.Failed = slices.Clone(s.Tried), slices.Clone(s.Right), slices.Clone(s.Failed)
	return c
}
