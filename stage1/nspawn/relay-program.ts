/**
 * What stands between the apps and the caller, in Perl without modules, which starts in 2 ms and
 * takes 2 MB. Run as
 *
 *     perl FILE UUID FD,… CLOCK MADVISE LAST OUT ERR { APP IMAGE OWNER STDIN STDOUT STDERR }… -- COMMAND…
 *
 * in the pod's folder, it leaves a process behind, as nobody's child, and becomes COMMAND with the
 * pid that it has. That process copies what the apps write to the caller's descriptors or the
 * journal, to `logs/APP`, and to those who are attached, until COMMAND has ended.
 *
 * - FD: what COMMAND inherits and the relay must not keep: the pod's lock, network, sockets.
 * - CLOCK, MADVISE: the numbers of clock_gettime(2) and madvise(2). LAST, when it ends: with the `pod`,
 *   or, ahead of it, with its `apps`. OUT, ERR: what the caller's 1 and 2 are, `copy`, `journal` or `discard`.
 * - OWNER: `UID` or `UID:GID` of the app's terminal.
 * - STDIN, STDOUT, STDERR: `-`, nothing to do; `fifo`; `caller`, a FIFO of what the caller's 0 has;
 *   `tty`, one terminal for all that say so; `screen`, a raw terminal, since the caller's is one;
 *   `joined`, stderr goes where stdout does.
 * - Lines of a log are those of Kubernetes (CRI): `RFC3339Nano STREAM F|P TEXT`, P for a text that
 *   does not end its line. A log that would pass 10 MiB becomes `APP.1`.
 * - `streams/sync`: to "APP\n" the relay answers with a newline in `APP/done` when all that the app
 *   has written is where it belongs. The app's reaper asks, so that nothing is late.
 * - `attach`: a socket. A connection says `ENDPOINT APP`, `list APP` or `size APP ROWS COLUMNS` on a
 *   line, hears `ok` or `no: WHY`, and is that endpoint from then on. The end of `stdin-once` is that
 *   of the app's input. Who does not read is cut off. `add APP IMAGE OWNER STDIN STDOUT STDERR` and
 *   `remove APP` change what is relayed.
 *
 * Opened for both, a FIFO neither ends nor blocks its openers; closed, it gives the app a SIGPIPE.
 */
export const RELAY = String.raw`
my ($LINE, $BLOCK, $LIMIT, $BEHIND) = (16384, 65536, 10 << 20, 1 << 20);
my $FOLDER = 'stage1/rootfs/rkt/streams';
my ($EINTR, $EAGAIN) = (4, 11);
my ($second, $date, $resized, $fed, $feeder, $journal, $sync, $door, @sinks, @binds, %apps, @sources, @clients) = 0;
my ($pod, $uuid, $held_open, $clock, $madvise, $last, @kinds) = ($$, splice @ARGV, 0, 7);
my %source;
our $AUTOLOAD;
my @words;
push @words, shift @ARGV while @ARGV && $ARGV[0] ne '--';
shift @ARGV;

# The path of a terminal is among the arguments of COMMAND. All else can be done beside its start,
# since whoever opens a FIFO waits for its other end.
my $is_early = grep { $_ eq 'tty' || $_ eq 'screen' } @words;
set_up() if $is_early;
$^F = 1000;
pipe my $alive, my $held or failed('pipe');
my $child = fork // failed('fork');
if ($child) {
  waitpid $child, 0;
  close $alive;
  my ($program, $name, @rest) = @ARGV;
  exec $program $name, @binds, @rest or failed($program);
}
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP QUIT PIPE TSTP TTIN TTOU USR1 USR2);
leave_cgroup();
exit if fork // failed('fork');
close $held;
set_up() unless $is_early;
relay();
tell_end();
farewell();
kill 'KILL', $feeder if $feeder;
exit;

# Without a relay the pod would wait for it for ever.
sub failed {
  print STDERR "stage1: cannot relay the output of the pod: $_[0]: $!\n";
  kill 'KILL', $pod if $$ != $pod;
  exit 254;
}

# On cgroup version 2 the container manager needs the pod's own cgroup without processes.
sub leave_cgroup {
  return unless -e '/sys/fs/cgroup/cgroup.controllers';
  open my $fh, '<', '/proc/self/cgroup' or return;
  my ($path) = join('', <$fh>) =~ /^0::(.*)$/m or return;
  mkdir "/sys/fs/cgroup$path/relay";
  open my $procs, '>', "/sys/fs/cgroup$path/relay/cgroup.procs" or return;
  syswrite $procs, '0';
}

sub set_up {
  my $mask = umask 077;
  %source = map { /^sub (\w+)/ ? ($1 => $_) : () } split /^(?=sub )/m, join '', <DATA>;
  $journal = journal() if grep { $_ eq 'journal' } @kinds;
  @sinks = (sink($kinds[0], \*STDOUT), sink($kinds[1], \*STDERR));
  add(splice @words, 0, 6) while @words;
  resize();
  $sync = fifo('sync');
  socket $door, 1, 1, 0 or failed('socket');
  bind $door, pack 'Sa*', 1, "attach\0" and listen $door, 16 or failed('attach');
  unblock($door);
  umask $mask if $$ == $pod;
}

# What follows below is compiled when it is first called: most pods need half of it.
sub AUTOLOAD {
  $AUTOLOAD =~ s/.*:://;
  eval delete $source{$AUTOLOAD};
  $@ eq '' or failed("$AUTOLOAD: $@");
  goto &$AUTOLOAD;
}

__END__
sub journal {
  socket my $fh, 1, 2, 0 or return;
  connect $fh, pack 'Sa*', 1, "/run/systemd/journal/socket\0" or return;
  return $fh;
}

# How the pod has ended, for the journal: the ids are those of journal.ts.
sub tell_end {
  my $entry = '';
  my $failed = 0;
  for my $name (sort keys %apps) {
    open my $fh, '<', "stage1/rootfs/rkt/status/$name" or next;
    my $code = <$fh> // '';
    chomp $code;
    $failed ||= $code ne '0';
    $entry .= ' ' . $name . '=' . $code;
  }
  return unless length $entry;
  my $id = $failed ? '59c330ec2dec4ebabf327ee42107491d' : 'f7d88d21b29e481e9c53536a736deaae';
  $entry = "MESSAGE=Pod $uuid has ended:$entry\nMESSAGE_ID=$id\nPRIORITY=" . ($failed ? 4 : 6)
    . "\nSYSLOG_IDENTIFIER=rkt\nCODE_FILE=stage1/nspawn/relay-program.ts\nCODE_FUNC=tell_end\n"
    . "RKT_POD=$uuid\n";
  my $fh = journal() or return;
  syswrite $fh, $entry;
}

sub unblock { fcntl $_[0], 4, 04000 }

sub sink {
  my ($kind, $fh) = @_;
  return { kind => $kind, fh => $fh, queue => '', file => -f $fh };
}

sub fifo {
  sysopen my $fh, "$FOLDER/$_[0]", 04002 or failed($_[0]);
  return $fh;
}

sub add {
  my ($name, $image, $owner, @modes) = @_;
  my $app = { name => $name, owner => $owner, done => fifo("$name/done"), in => {}, out => {} };
  $app->{fields} = "SYSLOG_IDENTIFIER=$name\nRKT_POD=$uuid\nRKT_APP=$name\nRKT_IMAGE=$image\n";
  $apps{$name} = $app;
  $fed = "$FOLDER/$name/stdin" if $modes[0] eq 'caller';
  $app->{in}{stdin} = { fh => fifo("$name/stdin"), queue => '' } if $modes[0] eq 'fifo';
  for my $n (1, 2) {
    my $stream = $n == 1 ? 'stdout' : 'stderr';
    source($app, $stream, $stream, fifo("$name/$stream"), $sinks[$n - 1]) if $modes[$n] eq 'fifo';
    source($app, $stream, $stream, screen($app), $sinks[$n - 1]) if $modes[$n] eq 'screen';
  }
  return unless grep { $_ eq 'tty' } @modes;
  my $fh = $app->{tty} = terminal($app);
  set_size($fh, 24, 80);
  $app->{in}{'tty-in'} = { fh => $fh, queue => '' } if $modes[0] eq 'tty';
  source($app, 'tty-out', 'stdout', $fh, $sinks[0]);
}

sub source {
  my ($app, $endpoint, $stream, $fh, $sink) = @_;
  my $source = { app => $app, fh => $fh, stream => $stream, sink => $sink, line => '' };
  push @sources, $app->{out}{$endpoint} = $source;
}

# A new terminal for the app; what keeps it open here keeps it alive between two openers.
sub terminal {
  my ($app) = @_;
  my $number = pack 'i', 0;
  sysopen my $fh, '/dev/ptmx', 04402 or failed('/dev/ptmx');
  ioctl $fh, 0x40045431, $number and ioctl $fh, 0x80045430, $number or failed('/dev/ptmx');
  my $path = '/dev/pts/' . unpack 'i', $number;
  sysopen $app->{slave}, $path, 0402 or failed($path);
  my ($uid, $gid) = split /:/, $app->{owner};
  chown $uid, $gid // -1, $path;
  push @binds, "--bind=$path:/rkt/streams/$app->{name}/tty";
  return $fh;
}

# Raw, since the caller's own terminal does what is to be done to the bytes.
sub screen {
  my ($app) = @_;
  my $fh = $app->{screen} = terminal($app);
  my $termios = "\0" x 64;
  ioctl $fh, 0x5401, $termios or failed('tcgetattr');
  my ($input, $output, $control, $local) = unpack 'L4', $termios;
  substr $termios, 0, 16, pack 'L4', $input, $output & ~1, $control, $local & ~8;
  ioctl $fh, 0x5402, $termios;
  return $fh;
}

sub set_size {
  my ($fh, $rows, $columns) = @_;
  my $size = pack 'S4', $rows, $columns, 0, 0;
  ioctl $fh, 0x5414, $size;
}

sub resize {
  $resized = 0;
  my $size = pack 'S4', 24, 80, 0, 0;
  ioctl STDOUT, 0x5413, $size or ioctl STDERR, 0x5413, $size;
  ioctl $_->{screen}, 0x5414, $size for grep { $_->{screen} } values %apps;
}

sub relay {
  $SIG{WINCH} = sub { $resized = 1 };
  $0 = "pod-relay $uuid";
  for my $fd (split /,/, $held_open) {
    open my $foreign, '<&=', $fd or next;
    close $foreign;
  }
  feed_caller() if $fed;
  open STDIN, '<', '/dev/null';
  my (%syncing, %over, $slim);
  for (;;) {
    my @inputs = map { values %{ $_->{in} } } values %apps;
    my ($read, $write) = ('', '');
    vec($read, fileno $_, 1) = 1 for $alive, $sync, $door;
    vec($read, fileno $_->{fh}, 1) = 1 for grep { !length $_->{sink}{queue} } @sources;
    vec($read, fileno $_->{fh}, 1) = 1
      for grep { !$_->{to} || length $_->{to}{queue} < $BLOCK } @clients;
    vec($write, fileno $_->{fh}, 1) = 1 for grep { length $_->{queue} } @sinks, @inputs;
    vec($write, fileno $_->{fh}, 1) = 1 for grep { length $_->{out} || $_->{last} } @clients;
    my $ready = select $read, $write, undef, $slim ? undef : 2;
    resize() if $resized;
    $slim ||= slim() if !$ready;
    next if $ready <= 0;
    last if vec $read, fileno $alive, 1;
    for (@sinks) { pass_on($_) if length $_->{queue} && vec $write, fileno $_->{fh}, 1 }
    for (@inputs) { feed($_) if length $_->{queue} && vec $write, fileno $_->{fh}, 1 }
    for my $client (@{[@clients]}) {
      my $number = fileno $client->{fh};
      write_to($client) if vec $write, $number, 1;
      read_from($client) if defined fileno $client->{fh} && vec $read, $number, 1;
    }
    for my $source (@{[@sources]}) {
      next if length $source->{sink}{queue} || !defined fileno $source->{fh};
      take($source) if vec $read, fileno $source->{fh}, 1;
    }
    welcome() if vec $read, fileno $door, 1;
    if (vec $read, fileno $sync, 1) {
      sysread $sync, my $names, 4096;
      $syncing{$_} = 1 for grep { $apps{$_} } split /\n/, $names;
    }
    for my $name (keys %syncing) {
      next unless settled($apps{$name});
      delete $syncing{$name};
      $over{$name} = 1;
      syswrite $apps{$name}{done}, "\n";
      return if $last eq 'apps' && keys %over == keys %apps;
    }
  }
  for my $app (values %apps) {
    until (settled($app)) {
      my $write = '';
      my @full = grep { length $_->{queue} } @sinks;
      vec($write, fileno $_->{fh}, 1) = 1 for @full;
      next if select(undef, $write, undef, undef) < 0;
      for (@full) { pass_on($_) if vec $write, fileno $_->{fh}, 1 }
    }
  }
}

# A process of its own waits until the app opens its input: closed before, the FIFO would be empty.
sub feed_caller {
  $SIG{CHLD} = 'IGNORE';
  $feeder = fork // failed('fork');
  return if $feeder;
  $SIG{PIPE} = 'DEFAULT';
  sysopen my $fh, $fed, 1 or exit;
  while (sysread STDIN, my $data, $BLOCK) {
    while (my $count = syswrite $fh, $data) { substr $data, 0, $count, '' }
  }
  exit;
}

# Gives back the pages of files that took part in the start: those that are needed again come again,
# and what was written to stays. Perl's own are the last.
sub slim {
  open my $maps, '<', '/proc/self/smaps' or return 1;
  my (@range, @clean);
  while (<$maps>) {
    @range = $3 ? (hex $1, hex($2) - hex $1) : () if /^(\w+)-(\w+) \S+ \S+ \S+ (\d+)/;
    push @clean, @range if /^Anonymous: +0 kB/;
  }
  close $maps;
  syscall 0 + $madvise, splice(@clean, -2), 4 while @clean;
  return 1;
}

# What those who are attached have not read yet; they have a moment for it.
sub farewell {
  $SIG{ALRM} = 'DEFAULT';
  alarm 2;
  for my $client (grep { length $_->{out} } @clients) {
    fcntl $client->{fh}, 4, 0;
    while (my $count = syswrite $client->{fh}, $client->{out}) { substr $client->{out}, 0, $count, '' }
  }
}

# Reads once from what an app writes; false when there is nothing.
sub take {
  my ($source) = @_;
  sysread $source->{fh}, my $data, $BLOCK or return 0;
  record($source, $data);
  for my $client (grep { $_->{from} && $_->{from} == $source } @{[@clients]}) {
    $client->{out} .= $data;
    drop($client) if length $client->{out} > $BEHIND;
  }
  my $sink = $source->{sink};
  return 1 unless $sink->{kind} eq 'copy';
  $sink->{queue} .= $data;
  pass_on($sink) if $sink->{file};
  return 1;
}

# So little that a pipe or terminal which has room at all takes it without blocking.
sub pass_on {
  my ($sink) = @_;
  my $count = syswrite $sink->{fh}, $sink->{queue}, $sink->{file} ? $BLOCK : 4096;
  if (defined $count) { substr $sink->{queue}, 0, $count, ''; return }
  return if $! == $EINTR || $! == $EAGAIN;
  $sink->{queue} = '';
  close_source($_) for grep { $_->{sink} == $sink } @{[@sources]};
}

# The caller has gone: who still writes gets a SIGPIPE, who comes later writes to nobody.
sub close_source {
  my ($source) = @_;
  finish_line($source);
  @sources = grep { $_ != $source } @sources;
  my $app = $source->{app};
  delete $app->{out}{$_} for grep { $app->{out}{$_} == $source } keys %{ $app->{out} };
  drop($_) for grep { $_->{from} && $_->{from} == $source } @{[@clients]};
  my $path = "$FOLDER/$app->{name}/$source->{stream}";
  unlink $path and symlink '/dev/null', $path if -p $path;
  close $app->{slave} if $app->{slave};
  close $source->{fh};
}

# Whether all that the app has written is where it belongs; those who are attached then see its end.
sub settled {
  my ($app) = @_;
  for my $source (grep { $_->{app} == $app } @{[@sources]}) {
    # Who got hold of the stream and goes on writing does not hold up the end.
    for (1 .. $BEHIND / $BLOCK) {
      last if length $source->{sink}{queue};
      defined fileno $source->{fh} && take($source) or last;
    }
    return 0 if length $source->{sink}{queue};
    finish_line($source);
  }
  for my $client (@{[@clients]}) {
    next unless $client->{app} && $client->{app} == $app;
    $client->{last} = 1;
    write_to($client);
  }
  return 1;
}

sub stamp {
  my $time = "\0" x 16;
  syscall 0 + $clock, 0, $time;
  my ($seconds, $nanoseconds) = unpack 'q2', $time;
  if ($seconds != $second) {
    my @part = gmtime($second = $seconds);
    $date = sprintf '%04d-%02d-%02dT%02d:%02d:%02d', $part[5] + 1900, $part[4] + 1, @part[3, 2, 1, 0];
  }
  return sprintf '%s.%09dZ', $date, $nanoseconds;
}

sub record {
  my ($source, $data) = @_;
  my $head = stamp() . " $source->{stream}";
  my $text = $source->{line} . $data;
  my ($at, $entries) = (0, '');
  while ((my $end = index $text, "\n", $at) >= 0) {
    my $line = substr $text, $at, $end - $at;
    $at = $end + 1;
    tell_journal($source, $line);
    $entries .= "$head P " . substr($line, 0, $LINE, '') . "\n" while length $line > $LINE;
    $entries .= "$head F $line\n";
  }
  $source->{line} = substr $text, $at;
  while (length $source->{line} >= $LINE) {
    my $part = substr $source->{line}, 0, $LINE, '';
    tell_journal($source, $part);
    $entries .= "$head P $part\n";
  }
  append($source->{app}, $entries) if length $entries;
}

sub finish_line {
  my ($source) = @_;
  return unless length $source->{line};
  tell_journal($source, $source->{line});
  append($source->{app}, stamp() . " $source->{stream} P $source->{line}\n");
  $source->{line} = '';
}

sub append {
  my ($app, $entries) = @_;
  my $path = "logs/$app->{name}";
  if ($app->{log} && $app->{size} + length $entries > $LIMIT) {
    rename $path, "$path.1";
    undef $app->{log};
  }
  if (!$app->{log}) {
    sysopen $app->{log}, $path, 02101, 0640 or return;
    $app->{size} = -s $app->{log};
  }
  $entries = "\n$entries" if $app->{torn};
  my $count = syswrite($app->{log}, $entries) // 0;
  $app->{size} += $count;
  $app->{torn} = $count < length $entries;
}

# systemd.journal-fields(7); a priority in front as sd-daemon(3) has it.
sub tell_journal {
  my ($source, $line) = @_;
  return unless $journal && $source->{sink}{kind} eq 'journal' && length $line;
  my $priority = $line =~ s/^<([0-7])>// ? $1 : 6;
  my $entry = "PRIORITY=$priority\n$source->{app}{fields}RKT_STREAM=$source->{stream}\nMESSAGE=$line\n";
  return if defined send $journal, $entry, 0;
  $journal = journal() and send $journal, $entry, 0;
}

sub welcome {
  accept my $fh, $door or return;
  unblock($fh);
  push @clients, { fh => $fh, out => '', request => '' };
}

sub drop {
  my ($client) = @_;
  @clients = grep { $_ != $client } @clients;
  close $client->{fh};
}

sub read_from {
  my ($client) = @_;
  my $count = sysread $client->{fh}, (my $data), $BLOCK;
  return if !defined $count && ($! == $EAGAIN || $! == $EINTR);
  if (!$count) {
    close_input($client->{app}, $client->{to}) if $client->{once};
    return drop($client);
  }
  if (defined $client->{request}) {
    $client->{request} .= $data;
    return drop($client) if length $client->{request} > $BLOCK;
    $client->{request} =~ /^([^\n]*)\n(.*)/s or return;
    my $line = $1;
    $data = $2;
    undef $client->{request};
    my $problem = answer($client, split / /, $line);
    $client->{out} = $problem ? "no: $problem\n" : "ok\n$client->{out}";
    $client->{last} = 1 if $problem;
  }
  $client->{to}{queue} .= $data if $client->{to};
}

sub write_to {
  my ($client) = @_;
  if (length $client->{out}) {
    my $count = syswrite $client->{fh}, $client->{out};
    return drop($client) unless defined $count || $! == $EAGAIN || $! == $EINTR;
    substr $client->{out}, 0, $count // 0, '';
  }
  drop($client) if $client->{last} && !length $client->{out};
}

sub feed {
  my ($input) = @_;
  my $count = syswrite $input->{fh}, $input->{queue}, 4096;
  substr $input->{queue}, 0, $count, '' if $count;
  close_input($input->{closing}, $input) if $input->{closing};
}

# The end of the input for the app, when it has taken what is left; who comes later finds nothing.
sub close_input {
  my ($app, $input) = @_;
  $input->{closing} = $app;
  return if length $input->{queue};
  my $path = "$FOLDER/$app->{name}/stdin";
  unlink $path and symlink '/dev/null', $path;
  delete $app->{in}{stdin};
  delete $_->{to} for grep { $_->{to} && $_->{to} == $input } @clients;
  close $input->{fh};
}

# What a connection asks for; gives what is wrong with that.
sub answer {
  my ($client, $verb, $name, $rows, $columns) = @_;
  if ($verb eq 'add' && @_ == 8) {
    add(@_[2 .. 7]);
    $client->{last} = 1;
    return;
  }
  my $app = $apps{$name // ''} or return 'there is no such app';
  if ($verb eq 'list') {
    $client->{out} = join '', map { "$_\n" } sort keys %{ $app->{in} }, keys %{ $app->{out} };
    $client->{last} = 1;
  } elsif ($verb eq 'remove') {
    settled($app);
    close_source($_) for grep { $_->{app} == $app } @{[@sources]};
    delete $apps{$name};
    $client->{last} = 1;
  } elsif ($verb eq 'size') {
    return 'it has no terminal' unless $app->{tty};
    set_size($app->{tty}, $rows, $columns);
    $client->{last} = 1;
  } else {
    $client->{once} = $verb eq 'stdin-once';
    $verb =~ s/-once$//;
    $client->{to} = $app->{in}{$verb};
    $client->{from} = $app->{out}{$verb};
    return "it has no $verb" unless $client->{to} || $client->{from};
    $client->{app} = $app;
  }
  return;
}
`;
