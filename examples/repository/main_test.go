package main

// The whole output of the program: every query is in it, so one too many, or one
// too few, fails.
func Example() {
	main()
	// Output:
	// One product, twice:
	//   database: get cup
	// Cup 900 <nil>
	// Cup 900 <nil>
	// Three, of which one is cached, and a fourth that does not exist:
	//   database: get many [pot tin jar]
	// 3 found <nil>
	// They are cached one by one, the absence too:
	// Tin 600 <nil>
	//  0 no such product
	// A list, and a change that reorders it:
	//   database: the cheapest 2
	// [{tin Tin 600} {cup Cup 900}] <nil>
	// [{tin Tin 600} {cup Cup 900}] <nil>
	//   database: save jar
	// <nil>
	//   database: the cheapest 2
	// [{jar Jar 250} {tin Tin 600}] <nil>
	//   database: get jar
	// Jar 250 <nil>
	// Cup 900 <nil>
}
