# large.pl MEGABYTES: records of random words, one in ten near to an earlier one
# and one in twenty equal to one
use strict;
my ($size, $state, $sum, $n, @old) = ($ARGV[0] * 1e6, 1, 0, 0);
sub draw {
	$state = ($state * 1103515245 + 12345) % 2147483648;
	return ($state >> 8) % $_[0];
}
my @word = map { my $w = ''; $w .= chr(97 + draw(26)) for 0 .. 2 + draw(8); $w } 1 .. 20000;
my @piece = map { join ' ', map { $word[draw(20000)] } 1 .. 20 } 1 .. 65536;
while ($sum < $size) {
	my $kind = draw(20);
	my @p = map { draw(65536) } 1 .. 20;
	if (@old && $kind < 3) {
		@p = @{$old[draw(scalar @old)]};
		$p[draw(20)] = draw(65536) if $kind;
	} elsif ($n % 16 == 0) {
		push @old, [@p];
	}
	my $line = qq({"id":$n,"text":") . join(' ', map { $piece[$_] } @p) . qq("}\n);
	print $line;
	$sum += length $line;
	$n++;
}
