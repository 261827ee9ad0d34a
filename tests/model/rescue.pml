/* The claim and the release of a guaranteed pod, and the rescue of its one callback: docs/rescuer.md, in Promela.

   One pod, its sidecar, two replicas that both believe to lead, and the Jobs that they make. Every request of a replica is
   one atomic step of the API server; between its look and its request anything may happen, and it may die at any point. What
   it decides is what operator/podhooks_operator/rescue/decide.py decides.

   Checked by `make model`: in every order of these steps the pod is released, its callback has had its effect, and twice only
   where the Rescue says so. */

#define CRASHES 1   /* of replicas, in all */
#define DEATHS 1    /* of Jobs' pods: fewer than ATTEMPTS, or the promise can't be kept and the Rescue says Failed */
#define ATTEMPTS 2

mtype = { none, recorded, running, done, failed };

/* The pod's object. `over`: its end is published, with the record as it then was. */
bool held = true, over = false, begun = false, complete = false;
byte effects = 0;

/* The Rescue. `version` is its resourceVersion. */
mtype state = none;
byte version = 0, attempts = 0;
bool had_begun = false, twice = false;

/* The Job of the present attempt, as its object and its pod's record show it. */
byte job = 0;             /* its attempt; 0: none */
bool job_over = false, job_begun = false, job_complete = false;
byte crashes = 0, deaths = 0;

/* The sidecar: it may be killed before its callback, in the middle, or between the effect and the record. */
proctype sidecar() {
    if
    :: begun = true;
       if
       :: effects++;
          if
          :: complete = true
          :: skip            /* killed before it could record that */
          fi
       :: skip               /* killed before the effect */
       fi
    :: skip                  /* killed, or never started */
    fi;
    over = true
}

/* The pod of a rescue Job: the same program, so it may die in the same places. */
proctype rescuing() {
    if
    :: job_begun = true;
       if
       :: effects++;
          if
          :: job_complete = true
          :: deaths < DEATHS -> deaths++
          fi
       :: deaths < DEATHS -> deaths++
       fi
    :: deaths < DEATHS -> deaths++
    fi;
    job_over = true
}

#define FORGET atomic { seen_state = none; seen_version = 0; seen_attempts = 0; seen_job = 0; seen_complete = false; \
    seen_begun = false; seen_job_over = false; seen_job_begun = false; seen_job_complete = false }
#define MAY_DIE if :: skip :: crashes < CRASHES -> crashes++; goto again fi

proctype replica() {
    mtype seen_state;
    byte seen_version, seen_attempts, seen_job;
    bool seen_complete, seen_begun, seen_job_over, seen_job_begun, seen_job_complete;

again:
    FORGET;
    do
    :: !held && (state == none || state == done || state == failed) -> break

    /* One turn at the pod: look, then at most two requests. */
    :: held && over ->
       d_step { seen_complete = complete; seen_begun = begun };
       MAY_DIE;
       if
       :: seen_complete -> skip
       :: else ->                                  /* its creation is refused if it is there: the name has the pod's UID */
          atomic {
              if
              :: state == none -> state = recorded; had_begun = seen_begun; version++
              :: else -> skip
              fi
          };
          MAY_DIE
       fi;
       atomic { held = false; FORGET }             /* record the truth, drop the finalizer */

    /* One turn at the Rescue. */
    :: state == recorded || state == running ->
       d_step {
           seen_state = state; seen_version = version; seen_attempts = attempts; seen_job = job;
           seen_job_over = job_over; seen_job_begun = job_begun; seen_job_complete = job_complete
       };
       MAY_DIE;
       if
       :: seen_state == recorded ->
          atomic {                                 /* the Job's name is this attempt's: a second creation is refused */
              if
              :: job == seen_attempts && seen_attempts == attempts && state == recorded ->
                 job = seen_attempts + 1; job_over = false; job_begun = false; job_complete = false; run rescuing()
              :: else -> skip
              fi
          };
          MAY_DIE;
          atomic {                                 /* written over the version that was seen, or not at all */
              if
              :: version == seen_version -> state = running; attempts = seen_attempts + 1; version++
              :: else -> skip
              fi
          }
       :: seen_state == running && seen_job == seen_attempts && seen_job_over ->
          atomic {
              if
              :: version == seen_version ->
                 version++;
                 twice = twice || had_begun || (!seen_job_complete && seen_job_begun);
                 if
                 :: seen_job_complete -> state = done
                 :: !seen_job_complete && seen_attempts >= ATTEMPTS -> state = failed
                 :: else -> state = recorded
                 fi
              :: else -> skip
              fi
          }
       :: else -> skip
       fi;
       FORGET
    od
}

init {
    atomic { run sidecar(); run replica(); run replica() };
    /* When nobody has anything left to do: */
    (_nr_pr == 1);
    assert(!held);
    assert(effects > 0);                           /* never lost */
    assert(effects < 2 || twice);                  /* never twice but counted */
    assert(complete || state == done)              /* and somebody knows it */
}

/* Whatever happens, the pod is released: no finalizer stays. */
ltl released { <> !held }
