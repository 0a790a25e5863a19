"""The commands of `lottery`: every public function of a file; torch is imported when its command runs."""
