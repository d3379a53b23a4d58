#!/bin/sh
# make install into a directory, a program built on what it put there, and
# make uninstall, which takes all of it back.
. "$(dirname "$0")/../lib.sh"
cd "$(dirname "$0")/../.." || exit 1
root=$tmp/root
if grep -q fsanitize "$BUILD/config"
then
	echo '1..0 # SKIP not for a build with sanitizers'
	exit
fi

# install_make TARGET: as the build that is tested was made
install_make () {
	make -s "$1" O="$O" CC="$CC" DESTDIR="$root" PREFIX=/usr
}

exits 0 'make install' install_make install
installed=$(find "$root" -type f | sed "s|^$root||" | sort)
for tool in $(cd cmd && ls)
do
	name=${tool%.c} bad=0
	for f in /usr/bin/$name /usr/share/man/man1/$name.1 \
	    /usr/share/bash-completion/completions/$name /usr/share/zsh/site-functions/_$name
	do
		echo "$installed" | grep -qxF "$f" || { echo "# no $f"; bad=1; }
	done
	result "$name, its page and completions are there" $bad
	exits 0 "$name runs from there" "$root/usr/bin/$name" -V
done

bad=0
for f in "$root"/usr/share/bash-completion/completions/*
do
	bash -n "$f" || bad=1
	name=${f##*/}
	# What bash would offer after "llm-x --hel".
	bash -c '. "$1"; COMP_WORDS=("$2" --hel); COMP_CWORD=1
	    $(complete -p "$2" | sed "s/.*-F \([^ ]*\).*/\1/")
	    case " ${COMPREPLY[*]} " in *" --help "*) ;; *) exit 1 ;; esac' \
	    - "$f" "$name" || { echo "# $name"; bad=1; }
done
result 'bash completes --help' $bad
if command -v zsh >/dev/null
then
	bad=0
	for f in "$root"/usr/share/zsh/site-functions/*
	do
		zsh -n "$f" || bad=1
	done
	result 'zsh reads the completions' $bad
fi

cat >"$tmp/use.c" <<'END'
#include <base/hash.h>
#include <stdio.h>

int
main(void)
{
	printf("%016llx\n", (unsigned long long)hash64(S("")));
	return 0;
}
END
use_library () {
	PKG_CONFIG_PATH=$root/usr/lib/pkgconfig
	export PKG_CONFIG_PATH
	flags=$(pkg-config --define-variable=prefix="$root/usr" \
	    --define-variable=libdir="$root/usr/lib" \
	    --define-variable=includedir="$root/usr/include" --cflags --libs llm) || return 1
	$CC -std=c11 -o "$tmp/use" "$tmp/use.c" $flags
}
exits 0 'a program builds with pkg-config llm' use_library
exits 0 'and runs' "$tmp/use"
prints 'the hash of nothing' <<'END'
2d06800538d394c2
END
exits 0 'make uninstall' install_make uninstall
find "$root" -type f >"$tmp/out"
prints 'nothing is left' </dev/null
done_testing
