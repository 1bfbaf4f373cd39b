package quant_test

import (
	"fmt"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func Example() {
	row := make([]float32, 64) // two blocks of Q8_0
	for i := range row {
		row[i] = float32(i) / 4
	}
	packed := make([]byte, tensor.Q8_0.RowBytes(len(row)))
	if err := quant.Encode(tensor.Q8_0, packed, row, nil); err != nil {
		fmt.Println(err)
		return
	}
	back := make([]float32, len(row))
	if err := quant.Decode(tensor.Q8_0, back, packed); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d values in %d bytes; %.2f became %.4f\n", len(row), len(packed), row[33], back[33])
	// Output: 64 values in 68 bytes; 8.25 became 8.3096
}

// A kernel takes the functions of a format once, and calls them for each row.
func ExampleOf() {
	f, err := quant.Of(tensor.Q4_K)
	if err != nil {
		fmt.Println(err)
		return
	}
	weights := make([]byte, f.BlockBytes) // a row of a matrix; all zero here
	row := make([]float32, f.BlockElems)
	f.Decode(row, weights)
	fmt.Println(f.Type, f.BlockElems, "values in", f.BlockBytes, "bytes")

	_, err = quant.Of(tensor.IQ1_S)
	fmt.Println(err)
	// Output:
	// Q4_K 256 values in 144 bytes
	// quant: no code for IQ1_S
}
