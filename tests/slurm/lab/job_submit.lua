-- Refuses what a site's database does not know, by the errors that Slurm itself has for it.
local ESLURM_INVALID_ACCOUNT, ESLURM_INVALID_QOS = 2045, 2066

function slurm_job_submit(job, partitions, user)
  if job.account ~= nil and job.account ~= "physics" then return ESLURM_INVALID_ACCOUNT end
  if job.qos ~= nil and job.qos ~= "normal" then return ESLURM_INVALID_QOS end
  return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, user)
  return slurm.SUCCESS
end
