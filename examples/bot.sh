#!/bin/sh
# A bot that answers. Make a profile for it, then run it with
#
#   sremp --profile bot init --name Bot --server ADDRESS
#   sremp --profile bot invite
#   sremp --profile bot bot examples/bot.sh
#
# Each message comes on standard input; what is printed goes back as the answer.
read -r word rest
case $word in
/help) echo "/time, /echo TEXT, /who" ;;
/time) date -u '+It is %H:%M UTC.' ;;
/echo) printf '%s\n' "$rest" ;;
/who) echo "You are $SREMP_CONTACT_NAME to me." ;;
/*) echo "I do not know $word; try /help" ;;
esac # other messages get no answer
