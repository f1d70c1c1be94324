package main

// The whole output of the program.
func Example() {
	main()
	// Output:
	// database: read 42
	// Switch upgrade <nil>
	// Switch upgrade <nil>
	// database: read 42
	// Switch upgrade, postponed <nil>
}
