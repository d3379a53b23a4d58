#!/usr/bin/perl
# judge.pl J in kept clusters - is what llm-dedup -t near did right?
#
# By sets of strings, with nothing of the tool's.  Says, each on a line:
# wrong N (dropped, but its similarity to the record named is below J, or not
# the one stated, or that record was not kept or comes later), missing N (pairs
# that do not name all dropped ones), high N (records with J + 0.1 or more to
# one that was kept before), found N (of those, dropped).
use strict;
use warnings;
use JSON::PP;

my ($J, $in, $out, $clusters) = @ARGV;
my $json = JSON::PP->new->utf8;
sub records { open my $f, '<', $_[0] or die "$_[0]: $!\n"; map { $json->decode($_) } <$f> }

sub set {
	my @w = map { lc } $_[0] =~ /[\p{L}\p{M}\p{Nd}]+/g;
	return { join(' ', @w) => 1 } if @w < 5;
	return { map { join(' ', @w[$_ .. $_ + 4]) => 1 } 0 .. $#w - 4 };
}

sub jaccard {
	my ($x, $y) = @_;
	my $both = grep { exists $y->{$_} } keys %$x;
	return $both / (keys(%$x) + keys(%$y) - $both);
}

my (%set, %at, %family, $n);
for (records($in)) {
	$at{$_->{id}} = $n++;
	$set{$_->{id}} = set($_->{text});
	push @{$family{$1}}, $_->{id} if $_->{id} =~ /^(\d+)-/;
}
my %kept = map { $_->{id} => 1 } records($out);
my ($wrong, $pairs, $high, $found) = (0, 0, 0, 0);
for (records($clusters)) {
	my $s = jaccard($set{$_->{id}}, $set{$_->{kept_id}});
	$pairs++;
	$wrong++ if $s < $J || abs($s - $_->{jaccard}) > 1e-5 || $kept{$_->{id}} ||
	    !$kept{$_->{kept_id}} || $at{$_->{kept_id}} > $at{$_->{id}} ||
	    $_->{index} != $at{$_->{id}} || $_->{kept_index} != $at{$_->{kept_id}};
}
for my $f (values %family) {
	for my $id (@$f) {
		next unless grep { $kept{$_} && $at{$_} < $at{$id} &&
		    jaccard($set{$id}, $set{$_}) >= $J + 0.1 } @$f;
		$high++;
		$found++ if !$kept{$id};
	}
}
printf "wrong %d\nmissing %d\nhigh %d\nfound %d\n", $wrong, $n - keys(%kept) - $pairs,
    $high, $found;
