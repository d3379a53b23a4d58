#!/usr/bin/perl
# planted.pl [families [seed]] - records in families of near-duplicates
#
# Each family is a random text and edited copies of it: words swapped, words
# left out, another header, other case and punctuation, a part only.  The id
# is family-member, the order is mixed.  The same arguments give the same bytes.
use strict;
use warnings;

my ($families, $state) = (@ARGV, 200, 1);
# Not rand(): that differs between builds of perl.
sub draw { my ($n) = @_; $state = ($state * 1103515245 + 12345) % 2147483648; int($state / 65536) % $n }

my @syllable = qw(ka to mi ren sol ba dur ep li vo shan gra te nu ix om);
my @word = map { join '', map { $syllable[draw(16)] } 0 .. 1 + draw(3) } 1 .. 2000;
sub text { map { $word[draw(draw(3) ? 2000 : 60)] } 1 .. $_[0] }

my @record;
for my $f (0 .. $families - 1) {
	my @base = text(60 + draw(500));
	push @record, [$f, 0, join ' ', @base];
	for my $m (1 .. 5) {
		my @copy = @base;
		my $edits = 1 + draw(1 + int(@base / 25));
		for (1 .. $edits) {
			my $at = draw(@copy - 1);
			if ($m % 2) { @copy[$at, $at + 1] = @copy[$at + 1, $at] }
			else { splice @copy, $at, 1 }
		}
		splice @copy, 0, draw(20), text(5 + draw(20)) if $m == 3;
		splice @copy, int(@copy * (70 + draw(25)) / 100) if $m == 4;
		my $text = join ' ', @copy;
		$text =~ s/(\w+) (\w+) (\w+)/\u$1, $2 \U$3./g if $m == 5;
		push @record, [$f, $m, $text];
	}
}
for my $i (reverse 1 .. $#record) {
	my $j = (draw(32768) * 32768 + draw(32768)) % ($i + 1);
	@record[$i, $j] = @record[$j, $i];
}
printf qq({"id":"%d-%d","text":"%s"}\n), @$_ for @record;
