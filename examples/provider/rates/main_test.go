package main

// The whole output of the program.
func Example() {
	main()
	// Output:
	//   loaded SEK
	// SEK 11.2 <nil>
	//   loaded CHF
	// CHF 0.95 <nil>
	//   loaded XXX
	// XXX 0 readthrough: not found
	// SEK 11.2 <nil>
	// CHF 0.95 <nil>
	// XXX 0 readthrough: not found
	// invalidated <nil>
	//   loaded SEK
	// SEK 11.3 <nil>
	// removed 3 <nil>
	//   loaded CHF
	// CHF 0.95 <nil>
}
