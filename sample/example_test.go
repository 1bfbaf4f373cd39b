package sample_test

import (
	"fmt"

	"github.com/tenon-go/tenon/sample"
)

func Example() {
	s, err := sample.New(sample.Params{Temperature: 0.8, TopK: 3, TopP: 0.95, Seed: 3}, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	logits := []float32{0.5, 2, -1, 1.5, 0} // of a model, one for each token
	for range 3 {
		token, err := s.Sample(logits)
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := s.Accept(token); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("token", token)
	}
	for _, c := range s.Candidates(nil, 3) {
		fmt.Printf("%d: %.3f\n", c.Token, c.Prob)
	}
	// Output:
	// token 3
	// token 1
	// token 1
	// 1: 0.592
	// 3: 0.317
	// 0: 0.091
}

func ExampleGreedy() {
	fmt.Println(sample.Greedy([]float32{0.5, 2, -1, 2}))
	// Output: 1
}

func ExampleSampler_Restore() {
	s, err := sample.New(sample.Params{Temperature: 1, PresencePenalty: 0.5, Seed: 1}, 4)
	if err != nil {
		fmt.Println(err)
		return
	}
	var before sample.State
	s.Snapshot(&before)
	first, _ := s.Sample([]float32{1, 1, 1, 1})
	if err := s.Restore(&before); err != nil {
		fmt.Println(err)
		return
	}
	again, _ := s.Sample([]float32{1, 1, 1, 1})
	fmt.Println(first == again)
	// Output: true
}
