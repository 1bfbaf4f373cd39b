package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/sample"
)

// samplingFlags are the flags that say how tokens are chosen.
type samplingFlags struct {
	params sample.Params
	seed   int64
	lastN  int
	bias   []string
}

// add adds the flags to cmd.
func (s *samplingFlags) add(cmd *cobra.Command) {
	f, p := cmd.Flags(), &s.params
	f.Float32Var(&p.Temperature, "temp", 0.8, "temperature; 0 always takes the best token")
	f.Int64VarP(&s.seed, "seed", "s", -1, "seed of the random numbers (-1: another one each time)")
	f.IntVar(&p.TopK, "top-k", 40, "keep the K best tokens (0: all)")
	f.Float32Var(&p.TopP, "top-p", 0.95, "keep the best tokens that have probability P together (1: all)")
	f.Float32Var(&p.MinP, "min-p", 0.05, "keep tokens at least P times as probable as the best (0: all)")
	f.Float32Var(&p.TypicalP, "typical", 1, "keep the most typical tokens that have probability P together (1: all)")
	f.Float32Var(&p.RepeatPenalty, "repeat-penalty", 1, "penalty for repeating a token (1: none)")
	f.IntVar(&s.lastN, "repeat-last-n", sample.DefaultPenaltyLastN, "last tokens that the penalties look at (0: penalties off)")
	f.Float32Var(&p.FrequencyPenalty, "frequency-penalty", 0, "penalty for each time that a token was there")
	f.Float32Var(&p.PresencePenalty, "presence-penalty", 0, "penalty for a token that was there")
	f.StringArrayVar(&s.bias, "logit-bias", nil, "`ID+BIAS or ID-BIAS`: add to a token's logit; ID-inf forbids it (can be repeated)")
}

// complete returns the parameters that the flags say, with a seed.
func (s *samplingFlags) complete() (sample.Params, error) {
	p := s.params
	switch {
	case s.seed < -1:
		return p, usagef("--seed is %d, want -1 or more", s.seed)
	case s.seed == -1:
		p.Seed = uint64(rand.Int64()) // not negative, so that it can be given to --seed
	default:
		p.Seed = uint64(s.seed)
	}
	p.PenaltyLastN = s.lastN
	if s.lastN == 0 { // in Params 0 is the default window, and to people a window of nothing
		p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty = 1, 0, 0
	}
	for _, text := range s.bias {
		id, bias, err := parseBias(text)
		if err != nil {
			return p, err
		}
		if p.LogitBias == nil {
			p.LogitBias = map[int32]float32{}
		}
		p.LogitBias[id] = bias
	}
	return p, samplingError(p.Validate())
}

// samplingError names the flag of a parameter that cannot be.
func samplingError(err error) error {
	var param *sample.ParamError
	if !errors.As(err, &param) {
		return err
	}
	flag, ok := map[string]string{
		"Temperature": "temp", "TopK": "top-k", "TopP": "top-p", "MinP": "min-p", "TypicalP": "typical",
		"RepeatPenalty": "repeat-penalty", "PenaltyLastN": "repeat-last-n",
		"FrequencyPenalty": "frequency-penalty", "PresencePenalty": "presence-penalty",
	}[param.Name]
	if !ok { // a token of LogitBias
		return usagef("--logit-bias: %s is %v, want %s", param.Name, param.Value, param.Want)
	}
	return usagef("--%s is %v, want %s", flag, param.Value, param.Want)
}

// parseBias takes "17+2.5", "17-0.5" or "17-inf" apart.
func parseBias(text string) (id int32, bias float32, err error) {
	at := strings.IndexAny(text, "+-")
	if at < 1 {
		return 0, 0, usagef("--logit-bias %q: want a token id, a sign and a number, such as 17-0.5", text)
	}
	n, err := strconv.ParseInt(text[:at], 10, 32)
	if err != nil {
		return 0, 0, usagef("--logit-bias %q: %q is no token id", text, text[:at])
	}
	b, err := strconv.ParseFloat(text[at:], 32)
	if err != nil {
		return 0, 0, usagef("--logit-bias %q: %q is no number", text, text[at:])
	}
	return int32(n), float32(b), nil
}

// seedText is what the timings say about the seed.
func seedText(p sample.Params) string {
	if p.Temperature <= 0 {
		return "not used at temperature 0"
	}
	return fmt.Sprint(p.Seed)
}
